"""Draws that depend on an image's key alone."""

import numpy as np
import tensorflow as tf
from scipy import stats

from semivit_tf.augment.randomness import image_keys, uniforms

MASK = 2**64 - 1


def python_splitmix(bits):
    bits = ((bits ^ (bits >> 30)) * 0xBF58476D1CE4E5B9) & MASK
    bits = ((bits ^ (bits >> 27)) * 0x94D049BB133111EB) & MASK
    return bits ^ (bits >> 31)


def test_first_numbers_are_those_of_splitmix64():
    key, step = 12345, 0x9E3779B97F4A7C15
    start = python_splitmix(key)
    expected = [
        (python_splitmix((start + n * step) & MASK) >> 40) / 2**24 for n in (1, 2, 3)
    ]
    drawn = uniforms(tf.constant([key], tf.uint64), 3)
    np.testing.assert_array_equal(drawn, [expected])


def test_draws_are_uniform_over_images_and_over_numbers():
    index = tf.range(5000)
    drawn = np.asarray(uniforms(image_keys(0, 1, tf.zeros_like(index), index), 4))
    assert drawn.min() >= 0 and drawn.max() < 1
    for column in drawn.T:
        assert stats.kstest(column, "uniform").pvalue > 1e-3
    assert np.abs(np.corrcoef(drawn.T) - np.eye(4)).max() < 0.06
    neighbours = np.corrcoef(drawn[:-1, 0], drawn[1:, 0])[0, 1]
    assert abs(neighbours) < 0.06


def test_every_part_of_the_key_matters():
    def draw(seed=0, stream=1, epoch=2, index=3, salt=0):
        keys = image_keys(seed, stream, tf.constant([epoch]), tf.constant([index]))
        return uniforms(keys, 2, salt).numpy().tolist()

    variants = [
        draw(),
        draw(seed=1),
        draw(stream=2),
        draw(epoch=3),
        draw(index=4),
        draw(salt=1),
        draw(epoch=3, index=2),
    ]
    assert len({str(variant) for variant in variants}) == len(variants)
    assert draw() == variants[0]


def test_an_images_draws_do_not_depend_on_its_batch():
    together = uniforms(image_keys(0, 1, tf.fill([4], 5), tf.constant([7, 8, 9, 7])), 3)
    alone = uniforms(image_keys(0, 1, tf.constant([5]), tf.constant([9])), 3)
    np.testing.assert_array_equal(together[2], alone[0])
    np.testing.assert_array_equal(together[0], together[3])
