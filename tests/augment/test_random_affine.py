"""Small moves against SciPy, and in the direction that they say."""

import numpy as np
from scipy import ndimage

from semivit_tf.augment import random_affine
from semivit_tf.augment.random_affine import RandomAffine
from tests.augment.pictures import noise


def moved(image, monkeypatch, draws, **options):
    draws = np.asarray(draws, "float64")
    monkeypatch.setattr(random_affine, "uniforms", lambda key, count: draws)
    return RandomAffine(**options)(image, 0)


def test_middle_draws_are_the_identity(monkeypatch):
    options = {"rotation": 30, "shift": 0.3, "scale": 0.3, "shear": 0.3}
    output = moved(noise(), monkeypatch, [0.5] * 5, **options)
    np.testing.assert_array_equal(output, noise())


def test_a_move_equals_scipys(monkeypatch):
    generator = np.random.default_rng(1)
    smooth = ndimage.gaussian_filter(generator.random((16, 16)), 2)
    smooth = (smooth - smooth.min()) / np.ptp(smooth) * 255
    image = smooth.astype("uint8")[..., None]
    options = {"rotation": 25, "shift": 0.1, "scale": 0.2, "shear": 0.1}
    output = moved(image, monkeypatch, [0.9, 0.2, 0.7, 0.8, 0.3], **options)[..., 0]
    angle, zoom = np.radians(25) * 0.8, 1 / (1 - 0.6 * 0.2)
    # The drawn order: turn, size, slant, down, right. SciPy maps (row, column).
    shear, down, right = 0.4 * 0.1, 0.6 * 1.6, -0.4 * 1.6
    matrix = zoom * np.array(
        [
            [np.cos(angle), -np.sin(angle)],
            [np.sin(angle) + shear, np.cos(angle)],
        ]
    )
    centre = np.array([7.5, 7.5])
    offset = centre - matrix @ (centre + np.array([down, right]))
    expected = ndimage.affine_transform(
        image[..., 0].astype(float), matrix, offset, order=1
    )
    inner = (slice(4, 12),) * 2  # the two fill the border differently
    # Levels are cut to whole ones.
    difference = expected[inner] - output[inner]
    assert -1e-6 < difference.min() and difference.max() < 1


def test_a_shift_moves_down_and_right(monkeypatch):
    image = np.zeros((10, 10, 1), "uint8")
    image[4, 4] = 100
    output = moved(image, monkeypatch, [0.5, 0.5, 0.5, 1.0, 0.5], shift=0.2)
    assert output[6, 4, 0] == 100 and output.sum() == 100
    output = moved(image, monkeypatch, [0.5, 0.5, 0.5, 0.5, 0.0], shift=0.2)
    assert output[4, 2, 0] == 100 and output.sum() == 100
