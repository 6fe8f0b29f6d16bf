"""Boxes of noise: how often, how large, and of which distribution."""

import numpy as np
from scipy import stats

from semivit_tf.augment.erasing import RandomErasing
from semivit_tf.augment.randomness import image_key


def erase(count, probability=1.0, shape=(32, 32, 1), **options):
    operation = RandomErasing(probability, (0.5,), (0.25,), **options)
    images = np.full((count, *shape), 7, "uint8")
    return operation(images, [image_key(3, 4, 0, i) for i in range(count)])


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


def test_the_box_goes_by_the_key_and_not_by_the_batch():
    together = erase(20, probability=0.5)
    operation = RandomErasing(0.5, (0.5,), (0.25,))
    for number, expected in enumerate(together):
        key = image_key(3, 4, 0, number)
        alone = operation(np.full((1, 32, 32, 1), 7, "uint8"), [key])
        np.testing.assert_array_equal(alone[0], expected)
        box = operation.box(32, 32, key)
        assert (expected != 7).sum() == (box[2] * box[3] if box else 0)


def test_probability_zero_changes_nothing():
    images = np.full((3, 8, 8, 1), 9, "uint8")
    erased = RandomErasing(0.0, (0.5,), (0.25,))(images, [1, 2, 3])
    assert erased.dtype == "float32"
    np.testing.assert_array_equal(erased, images)
