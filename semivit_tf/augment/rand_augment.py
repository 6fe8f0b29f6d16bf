"""RandAugment: a few random operations of random strength."""

import re

import numpy as np
import tensorflow as tf
from scipy.special import ndtri

from semivit_tf.augment import tone
from semivit_tf.augment.affine import about_centre, affine, rotation
from semivit_tf.augment.randomness import uniforms

FILL = (124, 116, 104)  # the mean colour of ImageNet
HIGHEST_LEVEL = 10.0


def _move(matrix_of):
    """Makes an operation from an affine map `matrix_of(amount, (H, W))`."""

    def operation(image, amount):
        fill = FILL if image.shape[2] == 3 else (round(sum(FILL) / 3),)
        return affine(image, matrix_of(amount, image.shape[:2]), fill)

    return operation


# === From a level of 0 to 10 to an operation's amount; `sign` is 1 or -1 ===


def _nothing(level, sign, increasing):
    return None


def _signed(most):
    return lambda level, sign, increasing: sign * most * level / HIGHEST_LEVEL


def _factor(level, sign, increasing):
    if increasing:
        return 1.0 + sign * 0.9 * level / HIGHEST_LEVEL
    return 0.1 + 1.8 * level / HIGHEST_LEVEL


def _bits(level, sign, increasing):
    cut = int(4 * level / HIGHEST_LEVEL)
    return 4 - cut if increasing else cut


def _threshold(level, sign, increasing):
    cut = int(256 * level / HIGHEST_LEVEL)
    return 256 - cut if increasing else cut


def _addition(level, sign, increasing):
    return int(110 * level / HIGHEST_LEVEL)


# name: (operation on an image and an amount, amount from a level)
OPERATIONS = {
    "AutoContrast": (lambda image, _: tone.auto_contrast(image), _nothing),
    "Equalize": (lambda image, _: tone.equalize(image), _nothing),
    "Invert": (lambda image, _: tone.invert(image), _nothing),
    "Rotate": (
        _move(lambda degrees, size: about_centre(rotation(degrees), size)),
        _signed(30.0),
    ),
    "Posterize": (tone.posterize, _bits),
    "Solarize": (tone.solarize, _threshold),
    "SolarizeAdd": (tone.solarize_add, _addition),
    "Color": (tone.saturation, _factor),
    "Contrast": (tone.contrast, _factor),
    "Brightness": (tone.brightness, _factor),
    "Sharpness": (tone.sharpness, _factor),
    "ShearX": (_move(lambda by, size: (1, by, 0, 0, 1, 0)), _signed(0.3)),
    "ShearY": (_move(lambda by, size: (1, 0, 0, by, 1, 0)), _signed(0.3)),
    "TranslateX": (
        _move(lambda by, size: (1, 0, by * size[1], 0, 1, 0)),
        _signed(0.45),
    ),
    "TranslateY": (
        _move(lambda by, size: (1, 0, 0, 0, 1, by * size[0])),
        _signed(0.45),
    ),
}
_NAMES = tuple(OPERATIONS)
_PATTERN = re.compile(r"(m|n|mstd|inc)(\d+(?:\.\d+)?)")


class RandAugment:
    """Draws a few of fifteen operations and applies each half of the time.

    Args:
        description: String as published recipes write it: `rand-m9-mstd0.5-inc1` is
            magnitude 9 of 10 with a standard deviation of 0.5, and operations whose
            strength grows with the magnitude. `n2`, two operations, is the default.
        probability: Float. How often an operation that was drawn is applied.

    Call it with an image `[H, W, C]` in [0, 255], uint8 or float, and optionally a key
    (see `image_key`), which decides all draws. Without a key they differ in each call.
    Tensors are accepted, also in a graph.

    Reference:
        Cubuk et al., RandAugment, 2020.
    """

    def __init__(
        self, description: str = "rand-m9-mstd0.5-inc1", probability: float = 0.5
    ):
        name, *parts = description.split("-")
        settings = {"m": 10.0, "n": 2.0, "mstd": 0.0, "inc": 0.0}
        for part in parts:
            match = _PATTERN.fullmatch(part)
            if not match:
                name = ""
                break
            settings[match[1]] = float(match[2])
        if name != "rand" or not 0 <= settings["m"] <= HIGHEST_LEVEL:
            raise ValueError(
                "RandAugment should be described as in rand-m9-mstd0.5-inc1: m (0 to "
                f"10), n, mstd and inc, each with a number. Received: {description!r}"
            )
        self.description = description
        self.magnitude = settings["m"]
        self.deviation = settings["mstd"]
        self.count = int(settings["n"])
        self.increasing = bool(settings["inc"])
        self.probability = probability

    def draw(self, key):
        """Returns the list of `(name, amount)` that a key decides to apply."""
        chosen = []
        for which, whether, strength, side in uniforms(key, 4 * self.count).reshape(
            -1, 4
        ):
            if whether >= self.probability:
                continue
            name = _NAMES[int(which * len(_NAMES))]
            level = self.magnitude
            if self.deviation:
                level += self.deviation * ndtri(max(strength, 1e-12))
            level = min(max(level, 0.0), HIGHEST_LEVEL)
            sign = 1.0 if side < 0.5 else -1.0
            chosen.append((name, OPERATIONS[name][1](level, sign, self.increasing)))
        return chosen

    def _apply(self, image, key):
        pixels = image
        if image.dtype != np.uint8:
            pixels = np.clip(np.rint(image), 0, 255).astype("uint8")
        for name, amount in self.draw(key):
            pixels = OPERATIONS[name][0](pixels, amount)
        return pixels.astype(image.dtype, copy=False)

    def __call__(self, image, key=None):
        if not tf.is_tensor(image):
            if key is None:
                key = np.random.default_rng().integers(2**64, dtype="uint64")
            return self._apply(np.asarray(image), key)
        if key is None:
            limits = {"minval": tf.int64.min, "maxval": tf.int64.max}
            key = tf.random.uniform((), dtype=tf.int64, **limits)
        changed = tf.numpy_function(
            lambda image, key: self._apply(image, key.astype("uint64")),
            [image, tf.cast(key, tf.int64)],
            image.dtype,
            stateful=False,
        )
        return tf.ensure_shape(changed, image.shape)
