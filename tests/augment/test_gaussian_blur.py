"""Blurring: exactly what Pillow's filter gives, at the radii that are drawn."""

import numpy as np
import pytest
from PIL import Image, ImageFilter
from scipy import ndimage, stats

from semivit_tf.augment import gaussian_blur as module
from semivit_tf.augment.gaussian_blur import RandomBlur, gaussian_blur
from tests.augment.pictures import BOTH, noise, photograph


def pillows(image, radius):
    plain = image[..., 0] if image.shape[2] == 1 else image
    filtered = Image.fromarray(plain).filter(ImageFilter.GaussianBlur(radius))
    return np.asarray(filtered).reshape(image.shape)


@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize("picture", BOTH.values(), ids=BOTH)
def test_blurs_equal_pillows(picture, channels):
    image = np.ascontiguousarray(picture()[..., :channels])
    for radius in (0.01, *np.linspace(0.1, 2.0, 25).tolist(), 5.0):
        expected = pillows(image, radius)
        np.testing.assert_array_equal(gaussian_blur(image, radius), expected)


@pytest.mark.parametrize("shape", [(1, 1), (2, 3), (8, 8), (1, 40)])
def test_images_smaller_than_the_box_equal_pillows(shape):
    image = np.ascontiguousarray(noise()[: shape[0], : shape[1]])
    for radius in (0.5, 1.3, 2.0, 9.0):
        np.testing.assert_array_equal(
            gaussian_blur(image, radius), pillows(image, radius)
        )


def test_it_is_nearly_a_gaussian():
    image = photograph()
    smooth = [
        ndimage.gaussian_filter(image[..., c].astype(float), 1.5, mode="nearest")
        for c in range(3)
    ]
    difference = gaussian_blur(image, 1.5) - np.stack(smooth, axis=-1)
    assert np.abs(difference).mean() < 1.5 < np.abs(image - np.stack(smooth, -1)).mean()


def test_radii_are_uniform(monkeypatch):
    radii = []
    monkeypatch.setattr(module, "gaussian_blur", lambda image, r: radii.append(r))
    for key in range(4000):
        RandomBlur((0.1, 2.0))(noise(), key)
    assert stats.kstest(radii, stats.uniform(0.1, 1.9).cdf).pvalue > 1e-3
