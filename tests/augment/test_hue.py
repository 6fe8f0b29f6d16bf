"""Turning the hue: exactly what Pillow's HSV and torchvision's sum make of it."""

import numpy as np
import pytest
from PIL import Image

from semivit_tf.augment.hue import turn_hue
from tests.augment.pictures import BOTH, photograph

SHARES = (-0.5, -0.1, -0.001, 0.0, 0.05, 0.1, 0.37, 0.5)


def pillows(image, share):
    """torchvision's formula: a whole number is added to the hue, modulo 256."""
    hue, saturation, value = Image.fromarray(image).convert("HSV").split()
    turned = (np.asarray(hue).astype(int) + int(share * 255)) % 256
    turned = Image.fromarray(turned.astype("uint8"))
    return np.asarray(Image.merge("HSV", (turned, saturation, value)).convert("RGB"))


@pytest.mark.parametrize("picture", BOTH.values(), ids=BOTH)
def test_pictures_equal_pillows(picture):
    for share in SHARES:
        np.testing.assert_array_equal(
            turn_hue(picture(), share), pillows(picture(), share), str(share)
        )


@pytest.mark.parametrize("red", [0, 45, 128, 165, 255])
def test_every_green_and_blue_equals_pillows(red):
    green, blue = np.meshgrid(np.arange(256), np.arange(256))
    image = np.stack([np.full_like(green, red), green, blue], axis=-1).astype("uint8")
    for share in (0.0, -0.1, 0.37):
        np.testing.assert_array_equal(turn_hue(image, share), pillows(image, share))


def test_a_third_of_the_circle_makes_red_green_and_green_blue():
    image = np.array([[[255, 0, 0], [0, 255, 0], [0, 0, 255], [9, 9, 9]]], "uint8")
    turned = turn_hue(image, 1 / 3)
    expected = [[0, 255, 0], [0, 0, 255], [255, 0, 0], [9, 9, 9]]
    np.testing.assert_array_equal(turned[0], expected)


def test_grey_images_have_no_hue():
    image = np.ascontiguousarray(photograph()[..., :1])
    assert turn_hue(image, 0.3) is image
    colourless = np.repeat(image, 3, axis=2)
    np.testing.assert_array_equal(turn_hue(colourless, 0.3), colourless)
