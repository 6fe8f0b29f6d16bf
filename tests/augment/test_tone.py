"""Grey levels and colours: exactly what Pillow makes of them."""

import numpy as np
import pytest
from PIL import Image, ImageEnhance, ImageOps

from semivit_tf.augment import tone
from tests.augment.pictures import BOTH, photograph

FACTORS = (0.0, 0.1, 0.19, 0.7, 1.0, 1.4, 1.81, 1.9)
CASES = {
    "invert": (tone.invert, ImageOps.invert, [()]),
    "auto_contrast": (tone.auto_contrast, ImageOps.autocontrast, [()]),
    "equalize": (tone.equalize, ImageOps.equalize, [()]),
    "posterize": (tone.posterize, ImageOps.posterize, [(b,) for b in range(1, 9)]),
    "solarize": (tone.solarize, ImageOps.solarize, [(t,) for t in (0, 26, 128, 256)]),
    "brightness": (
        tone.brightness,
        lambda image, factor: ImageEnhance.Brightness(image).enhance(factor),
        [(f,) for f in FACTORS],
    ),
    "contrast": (
        tone.contrast,
        lambda image, factor: ImageEnhance.Contrast(image).enhance(factor),
        [(f,) for f in FACTORS],
    ),
    "saturation": (
        tone.saturation,
        lambda image, factor: ImageEnhance.Color(image).enhance(factor),
        [(f,) for f in FACTORS],
    ),
    "sharpness": (
        tone.sharpness,
        lambda image, factor: ImageEnhance.Sharpness(image).enhance(factor),
        [(f,) for f in FACTORS],
    ),
}


@pytest.mark.parametrize("picture", BOTH.values(), ids=BOTH)
@pytest.mark.parametrize("name", CASES)
def test_every_operation_equals_pillows(name, picture):
    ours, pillows, arguments = CASES[name]
    image = picture()
    for argument in arguments:
        expected = np.asarray(pillows(Image.fromarray(image), *argument))
        np.testing.assert_array_equal(ours(image, *argument), expected, str(argument))


@pytest.mark.parametrize("name", sorted(set(CASES) - {"saturation"}))
def test_grey_images_are_changed_as_pillow_changes_them(name):
    ours, pillows, arguments = CASES[name]
    image = np.ascontiguousarray(photograph()[..., :1])
    for argument in arguments[:4]:
        expected = np.asarray(pillows(Image.fromarray(image[..., 0]), *argument))
        np.testing.assert_array_equal(ours(image, *argument)[..., 0], expected)


def test_saturation_leaves_grey_images_alone():
    image = np.ascontiguousarray(photograph()[..., :1])
    np.testing.assert_array_equal(tone.saturation(image, 0.3), image)


def test_solarize_add_by_hand():
    image = np.array([[[0], [100], [127], [128], [255]]], "uint8")
    changed = tone.solarize_add(image, 99)
    np.testing.assert_array_equal(changed[0, :, 0], [99, 199, 226, 128, 255])


def test_no_bits_leave_a_black_image():
    np.testing.assert_array_equal(tone.posterize(photograph(), 0), 0)


@pytest.mark.parametrize("operation", [tone.auto_contrast, tone.equalize])
def test_an_image_of_one_colour_stays(operation):
    image = np.full((5, 6, 3), 77, "uint8")
    np.testing.assert_array_equal(operation(image), image)
