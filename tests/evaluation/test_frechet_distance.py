"""The distance of normal distributions has closed forms and a SciPy oracle."""

import numpy as np
import pytest
from scipy.linalg import sqrtm

from semivit_tf.evaluation.frechet_distance import (
    distance_of_normals,
    frechet_distance,
    mean_and_covariance,
)


def features(count=200, width=6, seed=0):
    generator = np.random.default_rng(seed)
    mixed = generator.normal(size=(width, width))
    return generator.normal(size=(count, width)) @ mixed + generator.normal(size=width)


def test_a_set_has_no_distance_from_itself():
    for count in (200, 4):  # also where the covariance is singular
        one = features(count)
        trace = np.trace(mean_and_covariance(one)[1])
        assert 0 <= frechet_distance(one, one) < 1e-12 * trace


def test_the_distance_is_symmetric():
    one, other = features(seed=0), features(seed=1)
    forth, back = frechet_distance(one, other), frechet_distance(other, one)
    np.testing.assert_allclose(forth, back, rtol=1e-12)
    assert forth > 1


def test_round_distributions_have_the_closed_form():
    """With S = s^2 I and T = t^2 I it is |m - n|^2 + D (s - t)^2."""
    width, mean, other = 5, np.zeros(5), np.full(5, 0.3)
    found = distance_of_normals(mean, 4.0 * np.eye(width), other, 0.25 * np.eye(width))
    np.testing.assert_allclose(found, 5 * 0.3**2 + 5 * (2.0 - 0.5) ** 2, rtol=1e-13)


def test_it_equals_the_square_root_of_the_product():
    (m, s), (n, t) = (mean_and_covariance(features(seed=seed)) for seed in (2, 3))
    root = sqrtm(s @ t).real
    expected = np.sum((m - n) ** 2) + np.trace(s + t - 2 * root)
    np.testing.assert_allclose(distance_of_normals(m, s, n, t), expected, rtol=1e-9)


def test_means_and_covariances_are_unbiased():
    mean, covariance = mean_and_covariance([[1.0, 0.0], [3.0, 4.0]])
    np.testing.assert_array_equal(mean, [2.0, 2.0])
    np.testing.assert_array_equal(covariance, [[2.0, 4.0], [4.0, 8.0]])
    assert mean_and_covariance([[1.0], [3.0]])[1].tolist() == [[2.0]]


@pytest.mark.parametrize("wrong", [[[1.0, 2.0]], [1.0, 2.0], [[1.0], [np.nan]]])
def test_what_has_no_covariance_is_refused(wrong):
    with pytest.raises(ValueError, match="should be finite numbers"):
        frechet_distance(wrong, features())
