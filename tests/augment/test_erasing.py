"""Boxes of noise: how often, how large, and of which distribution."""

import numpy as np
from scipy import stats

from semivit_tf.augment.erasing import RandomErasing
from semivit_tf.augment.randomness import image_key


def erase(count, probability=1.0, shape=(32, 32, 1), **options):
    operation = RandomErasing(probability, (0.5,), (0.25,), **options)
    image = np.full(shape, 7, "uint8")
    return np.stack(
        [
            np.asarray(operation(image, image_key(3, 4, 0, i)), "float32")
            for i in range(count)
        ]
    )


def test_probability_and_area():
    outputs = erase(2000, probability=0.25)
    erased = (outputs != 7).mean(axis=(1, 2, 3))
    share = (erased > 0).mean()
    assert abs(share - 0.25) < 4 * np.sqrt(0.25 * 0.75 / 2000)
    assert 0.01 < erased[erased > 0].min() and erased.max() < 0.36


def test_areas_are_uniform_and_aspects_log_uniform_where_the_box_fits():
    outputs = erase(1500, shape=(128, 128, 1), area=(0.05, 0.15), aspect=(0.5, 2.0))
    erased = outputs[..., 0] != 7
    area = erased.mean(axis=(1, 2))
    assert stats.kstest(area, stats.uniform(0.05, 0.1).cdf).pvalue > 1e-3
    rows, columns = erased.any(axis=2).sum(axis=1), erased.any(axis=1).sum(axis=1)
    aspect = np.log2(rows / columns)
    assert stats.kstest(aspect, stats.uniform(-1, 2).cdf).pvalue > 1e-3
    top = erased.any(axis=2).argmax(axis=1)
    place = (top + 0.5) / (128 - rows + 1)
    assert stats.kstest(place, "uniform").pvalue > 1e-3


def test_each_hole_is_one_box_of_gaussian_pixels():
    outputs = erase(300)
    noise = outputs[outputs != 7] / 255
    assert stats.kstest(noise[:20000], stats.norm(0.5, 0.25).cdf).pvalue > 1e-3
    assert noise.min() < 0 and noise.max() > 1  # not clipped, as published
    boxes = 0
    for image in outputs[:, :, :, 0]:
        rows, columns = np.nonzero(image != 7)
        if len(rows):
            boxes += 1
            assert (np.ptp(rows) + 1) * (np.ptp(columns) + 1) == len(rows)
    assert boxes > 280


def test_probability_zero_gives_the_image_itself():
    image = np.zeros((8, 8, 1), "uint8")
    assert RandomErasing(0.0, (0.5,), (0.25,))(image, 1) is image
