"""Turning, shearing and shifting against Pillow.

Levels are cut to whole ones, so one that is whole but for the last bit may fall to the
one below: one level, in at most 0.1 % of the pixels, or 2 % where rows are sheared and
interpolated linearly, as there such levels are common.
"""

import numpy as np
import pytest
from PIL import Image

from semivit_tf.augment.affine import about_centre, affine, rotation
from tests.augment.pictures import BOTH, noise

FILL = (124, 116, 104)
MAPS = {
    "shear_x": (1, 0.27, 0, 0, 1, 0),
    "shear_x_back": (1, -0.3, 0, 0, 1, 0),
    "shear_y": (1, 0, 0, 0.27, 1, 0),
    "shear_y_back": (1, 0, 0, -0.113, 1, 0),
    "right": (1, 0, 0.405 * 128, 0, 1, 0),
    "left": (1, 0, -13.25, 0, 1, 0),
    "down": (1, 0, 0, 0, 1, 0.405 * 97),
    "up": (1, 0, 0, 0, 1, -20.5),
    "whole": (1, 0, 7, 0, 1, -4),
    "away": (1, 0, 500, 0, 1, 0),
    "all": (0.9, 0.2, 3.3, -0.15, 1.1, -2.7),
}


def agree(ours, pillows, share=1e-3):
    difference = np.abs(ours.astype(int) - np.asarray(pillows).astype(int))
    assert difference.max() <= 1
    assert (difference > 0).mean() <= share


@pytest.mark.parametrize("picture", BOTH.values(), ids=BOTH)
@pytest.mark.parametrize("cubic", [True, False])
@pytest.mark.parametrize("name", MAPS)
def test_a_map_shows_what_pillow_shows(name, cubic, picture):
    image, matrix = picture(), MAPS[name]
    way = Image.Resampling.BICUBIC if cubic else Image.Resampling.BILINEAR
    pillows = Image.fromarray(image).transform(
        (128, 97), Image.Transform.AFFINE, matrix, way, fillcolor=FILL
    )
    linear_shear = not cubic and name.startswith("shear_x")
    share = 0.02 if linear_shear else 1e-3
    agree(affine(image, matrix, FILL, cubic), pillows, share)


@pytest.mark.parametrize("degrees", [27.0, -27.0, 3.3, 30.0])
@pytest.mark.parametrize("picture", BOTH.values(), ids=BOTH)
def test_turning_is_pillows(degrees, picture):
    image = picture()
    way = Image.Resampling.BICUBIC
    pillows = Image.fromarray(image).rotate(degrees, way, fillcolor=FILL)
    matrix = about_centre(rotation(degrees), image.shape[:2])
    agree(affine(image, matrix, FILL), pillows)


def test_grey_images_move_like_a_channel():
    image = noise()
    grey = np.ascontiguousarray(image[..., :1])
    for matrix in MAPS.values():
        np.testing.assert_array_equal(
            affine(grey, matrix), affine(image, matrix)[..., :1]
        )


def test_the_identity_changes_nothing_and_outside_is_the_fill():
    image = noise()
    np.testing.assert_array_equal(affine(image, (1, 0, 0, 0, 1, 0)), image)
    away = affine(image, (1, 0, 500, 0, 1, 0), FILL)
    np.testing.assert_array_equal(away, np.broadcast_to(FILL, image.shape))


def test_a_shift_moves_right_and_down():
    image = np.zeros((9, 9, 1), "uint8")
    image[4, 4] = 200
    matrix = about_centre((1, 0, 0, 1), (9, 9), shift=(2, 1))
    moved = affine(image, matrix)
    assert moved[5, 6, 0] == 200 and moved.sum() == 200
