"""Balls around features, on points whose distances are plain."""

import numpy as np
import pytest
from sklearn.neighbors import NearestNeighbors

from semivit_tf.evaluation import manifolds
from semivit_tf.evaluation.manifolds import (
    distances_to_nearest,
    precision_and_recall,
    radii,
    share_inside,
)

REAL = np.array([[0.0], [1.0], [3.0], [6.0]])


def test_radii_reach_to_the_neighbour():
    np.testing.assert_array_equal(radii(REAL, 1), [1, 1, 2, 3])
    np.testing.assert_array_equal(radii(REAL, 2), [3, 2, 3, 5])


def test_shares_are_counted_inside_of_any_ball():
    queries = np.array([[-1.0], [-1.1], [4.9], [5.1], [9.0], [9.1]])
    # Balls reach from -1 to 5 and from 3 to 9.
    assert share_inside(queries, REAL, radii(REAL, 1)) == 4 / 6


def test_precision_and_recall_are_each_others_reverse():
    generator = np.random.default_rng(0)
    one, other = generator.normal(size=(2, 60, 3))
    other *= 0.4
    precision, recall = precision_and_recall(other, one)
    assert precision_and_recall(one, other) == (recall, precision)
    assert precision > 0.9 > recall > 0  # narrow ones are real, and cover little


def test_the_same_images_are_all_real_and_all_covered():
    assert precision_and_recall(REAL, REAL) == (1.0, 1.0)
    assert precision_and_recall(REAL + 100, REAL) == (0.0, 0.0)


def test_neighbours_equal_those_of_another_package(monkeypatch):
    monkeypatch.setattr(manifolds, "_CHUNK", 7 * 30)
    generator = np.random.default_rng(1)
    queries, known = generator.normal(size=(20, 4)), generator.normal(size=(30, 4))
    distances, places = distances_to_nearest(queries, known, 3)
    oracle = NearestNeighbors(n_neighbors=3, algorithm="brute").fit(known)
    expected, others = oracle.kneighbors(queries)
    np.testing.assert_array_equal(places, others)
    np.testing.assert_allclose(distances, expected, rtol=1e-6)


def test_too_few_images_are_refused():
    with pytest.raises(ValueError, match="more than 4 images, the neighbours"):
        radii(REAL, 4)
