"""Draws that depend on an image's key alone."""

import numpy as np
from scipy import stats

from semivit_tf.augment.randomness import derive, image_key, normals, uniforms

MASK = 2**64 - 1
STEP = 0x9E3779B97F4A7C15


def python_splitmix(bits):
    bits = ((bits ^ (bits >> 30)) * 0xBF58476D1CE4E5B9) & MASK
    bits = ((bits ^ (bits >> 27)) * 0x94D049BB133111EB) & MASK
    return bits ^ (bits >> 31)


def test_numbers_are_those_of_splitmix64():
    key = 12345
    expected = [
        (python_splitmix((key + n * STEP) & MASK) >> 11) / 2**53 for n in (1, 2, 3)
    ]
    np.testing.assert_array_equal(uniforms(key, 3), expected)
    derived = python_splitmix((key * STEP + 7 + STEP) & MASK)
    assert int(derive(key, 7)) == derived


def test_draws_are_uniform_over_images_and_over_numbers():
    drawn = np.array([uniforms(image_key(0, 1, 0, i), 4) for i in range(5000)])
    assert drawn.min() >= 0 and drawn.max() < 1
    for column in drawn.T:
        assert stats.kstest(column, "uniform").pvalue > 1e-3
    assert np.abs(np.corrcoef(drawn.T) - np.eye(4)).max() < 0.06
    neighbours = np.corrcoef(drawn[:-1, 0], drawn[1:, 0])[0, 1]
    assert abs(neighbours) < 0.06


def test_normal_draws_follow_the_normal_distribution():
    for count in (10001, 10002):
        drawn = normals(99, count)
        assert drawn.shape == (count,) and np.isfinite(drawn).all()
        assert stats.kstest(drawn, "norm").pvalue > 1e-3
    assert abs(np.corrcoef(drawn[::2], drawn[1::2])[0, 1]) < 0.06


def test_every_part_of_the_key_matters():
    variants = [
        image_key(0, 1, 2, 3),
        image_key(1, 1, 2, 3),
        image_key(0, 2, 2, 3),
        image_key(0, 1, 3, 3),
        image_key(0, 1, 2, 4),
        image_key(0, 1, 3, 2),
        image_key(-1, 1, 2, 3),
        derive(image_key(0, 1, 2, 3), 1),
    ]
    assert len({int(variant) for variant in variants}) == len(variants)
    assert image_key(0, 1, 2, 3) == variants[0]
    assert image_key(2**64, 1, 2, 3) == variants[0]
