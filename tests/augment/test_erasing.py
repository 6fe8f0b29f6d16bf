"""Boxes of noise: how often, how large, and of which distribution."""

import numpy as np
import tensorflow as tf
from scipy import stats

from semivit_tf.augment.erasing import RandomErasing


def erase(count, probability=1.0, shape=(32, 32, 1), **options):
    operation = RandomErasing(shape, probability, (0.5,), (0.25,), **options)
    draws = tf.random.stateless_uniform((count, operation.draws), (3, 4))
    images = np.full((count, *shape), -1000.0, "float32")
    return np.asarray(operation(images, draws))


def test_probability_and_area():
    outputs = erase(2000, probability=0.25)
    erased = (outputs != -1000).mean(axis=(1, 2, 3))
    share = (erased > 0).mean()
    assert abs(share - 0.25) < 4 * np.sqrt(0.25 * 0.75 / 2000)
    assert 0.01 < erased[erased > 0].min() and erased.max() < 0.36


def test_the_first_and_the_last_draw_are_finite():
    operation = RandomErasing((4, 4, 1), 1.0, (0.5,), (0.25,), area=(1.0, 1.0))
    for extreme in (0.0, 1 - 2.0**-24):
        draws = np.full((1, operation.draws), extreme, "float32")
        draws[:, :5] = 0.5
        outputs = np.asarray(operation(np.zeros((1, 4, 4, 1), "float32"), draws))
        assert np.isfinite(outputs).all() and np.abs(outputs - 127.5).max() > 200


def test_areas_are_uniform_where_the_box_fits():
    outputs = erase(2000, shape=(64, 64, 1), area=(0.05, 0.15), aspect=(0.5, 2.0))
    erased = (outputs != -1000).mean(axis=(1, 2, 3))
    assert stats.kstest(erased, stats.uniform(0.05, 0.1).cdf).pvalue > 1e-3


def test_each_hole_is_one_box_of_gaussian_pixels():
    outputs = erase(300)
    noise = outputs[outputs != -1000] / 255
    assert stats.kstest(noise[:20000], stats.norm(0.5, 0.25).cdf).pvalue > 1e-3
    for image in outputs[:50, :, :, 0]:
        rows, columns = np.nonzero(image != -1000)
        box = (np.ptp(rows) + 1) * (np.ptp(columns) + 1)
        assert box == len(rows) > 0
