"""Geometry against SciPy and by statistics."""

import numpy as np
import tensorflow as tf
from scipy import ndimage, stats

from semivit_tf.augment.geometry import RandomAffine, RandomFlip, RandomResizedCrop


def ramp(height, width, count=1):
    rows, columns = np.mgrid[:height, :width]
    image = np.stack([rows, columns], axis=-1).astype("float32")
    return np.repeat(image[None], count, axis=0)


def test_flip_mirrors_columns_below_a_half():
    images = ramp(3, 4, 2)
    flipped = RandomFlip()(images, tf.constant([[0.49], [0.5]]))
    np.testing.assert_array_equal(flipped[0], images[0, :, ::-1])
    np.testing.assert_array_equal(flipped[1], images[1])


def test_middle_draws_are_the_identity():
    images = np.random.default_rng(0).random((2, 9, 7, 3), "float32")
    affine = RandomAffine(rotation=30, shift=0.3, scale=0.3, shear=0.3)
    outputs = affine(images, tf.fill((2, 5), 0.5))
    np.testing.assert_allclose(outputs, images, atol=1e-5)


def test_affine_equals_scipy():
    image = ndimage.gaussian_filter(np.random.default_rng(1).random((16, 16)), 2)
    image = image.astype("float32") * 100
    affine = RandomAffine(rotation=25, shift=0.1, scale=0.2, shear=0.1)
    draws = np.array([[0.9, 0.2, 0.7, 0.8, 0.3]], "float32")
    output = np.asarray(affine(image[None, :, :, None], tf.constant(draws)))[0, :, :, 0]
    angle, zoom = np.radians(25) * 0.8, 1 / (1 - 0.6 * 0.2)
    shear, down, right = 0.4 * 0.1, 0.6 * 1.6, -0.4 * 1.6
    # SciPy maps (row, column) of the output to those of the input.
    matrix = zoom * np.array(
        [
            [np.cos(angle), -np.sin(angle)],
            [np.sin(angle) + shear, np.cos(angle)],
        ]
    )
    centre = np.array([7.5, 7.5])
    offset = centre - matrix @ centre - np.array([down, right])
    expected = ndimage.affine_transform(image, matrix, offset, order=1)
    inner = (slice(4, 12),) * 2  # the two fill the border differently
    np.testing.assert_allclose(output[inner], expected[inner], atol=1e-3)


def test_pure_shift_moves_down_and_right():
    images = np.zeros((1, 10, 10, 1), "float32")
    images[0, 4, 4] = 1
    draws = tf.constant([[0.5, 0.5, 0.5, 1.0, 1.0]])
    shifted = np.asarray(RandomAffine(shift=0.2)(images, draws))
    np.testing.assert_allclose(shifted[0, 6, 6, 0], 1, atol=1e-5)


def test_full_area_crop_is_the_identity():
    images = np.random.default_rng(2).random((2, 8, 8, 3), "float32")
    crop = RandomResizedCrop((8, 8), area=(1.0, 1.0), aspect=(1.0, 1.0))
    outputs = crop(images, tf.random.uniform((2, 4)))
    np.testing.assert_allclose(outputs, images, atol=1e-5)


def test_crop_areas_and_places_follow_their_distributions():
    """A ramp shows where the crop was taken and how large it was."""
    count, size = 3000, 64
    crop = RandomResizedCrop((16, 16), area=(0.1, 0.5), aspect=(1.0, 1.0))
    images = tf.repeat(ramp(size, size), count, axis=0)
    draws = tf.random.stateless_uniform((count, 4), (0, 1))
    outputs = np.asarray(crop(images, draws))
    step = (outputs[:, 8, 8] - outputs[:, 7, 7]) * 16 / size
    assert stats.kstest(step[:, 0] ** 2, stats.uniform(0.1, 0.4).cdf).pvalue > 1e-3
    np.testing.assert_allclose(step[:, 0], step[:, 1], rtol=1e-3)
    top = (outputs[:, 0, 0, 0] + 0.5) / size - step[:, 0] / 32
    place = top / (1 - step[:, 0])
    assert stats.kstest(place, "uniform").pvalue > 1e-3


def test_crop_aspects_are_log_uniform():
    count = 3000
    crop = RandomResizedCrop((16, 16), area=(0.2, 0.2), aspect=(0.5, 2.0))
    images = tf.repeat(ramp(64, 64), count, axis=0)
    draws = tf.random.stateless_uniform((count, 4), (0, 2))
    outputs = np.asarray(crop(images, draws))
    step = outputs[:, 8, 8] - outputs[:, 7, 7]
    aspect = np.log2(step[:, 1] / step[:, 0])
    assert stats.kstest(aspect, stats.uniform(-1, 2).cdf).pvalue > 1e-3
