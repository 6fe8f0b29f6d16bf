"""Resizing a box against Pillow: across, then down."""

import numpy as np
import pytest
from PIL import Image

from semivit_tf.augment.resize import resize
from tests.augment.pictures import BOTH, noise, photograph

BICUBIC = Image.Resampling.BICUBIC


def pillows(image, box, size):
    top, left, height, width = box
    cut = Image.fromarray(image[top : top + height, left : left + width])
    return np.asarray(
        cut.resize((size[1], height), BICUBIC).resize(size[::-1], BICUBIC)
    )


@pytest.mark.parametrize("picture", BOTH.values(), ids=BOTH)
@pytest.mark.parametrize("size", [(32, 32), (120, 48), (224, 224)])
def test_a_box_is_resized_as_pillow_does(size, picture):
    image = picture()
    for box in ((0, 0, 97, 128), (10, 20, 50, 60), (0, 100, 97, 28), (96, 3, 1, 90)):
        ours = resize(image, box, size)
        difference = np.abs(ours.astype(int) - pillows(image, box, size).astype(int))
        # Pillow counts in whole 2**-22, so rounding may fall the other way, twice.
        assert difference.max() <= 2
        assert (difference > 0).mean() < 1e-3


def test_a_box_need_not_be_whole():
    image = photograph()
    box = (3.5, 7.25, 40.5, 80.25)
    ours = resize(image, box, (32, 32)).astype(int)
    assert resize(image, box, (32, 33)).flags.c_contiguous
    top, left, height, width = box
    edges = (left, top, left + width, top + height)
    expected = Image.fromarray(image).resize((32, 32), BICUBIC, box=edges)
    # At its edges Pillow's filter sees beyond the box.
    inner = (slice(4, -4), slice(4, -4))
    assert np.abs(ours - np.asarray(expected))[inner].max() <= 2


def test_nothing_to_do_gives_the_image_itself():
    image = noise()
    assert resize(image, (0, 0, 97, 128), (97, 128)) is image


@pytest.mark.parametrize("box", [(0, 0, 97, 128), (5, 6, 30, 40)])
@pytest.mark.parametrize("size", [(97, 128), (40, 33)])
def test_mirroring_is_the_mirror_image(box, size):
    plain = resize(noise(), box, size)
    mirrored = resize(noise(), box, size, mirrored=True)
    np.testing.assert_array_equal(mirrored, plain[:, ::-1])


def test_one_colour_stays_that_colour_and_grey_is_a_channel():
    flat = np.full((9, 7, 3), 201, "uint8")
    np.testing.assert_array_equal(resize(flat, (1, 1, 5, 5), (20, 3)), 201)
    grey = np.ascontiguousarray(noise()[..., 1:2])
    box, size = (2, 3, 50, 51), (24, 24)
    np.testing.assert_array_equal(
        resize(grey, box, size), resize(noise(), box, size)[..., 1:2]
    )
