"""Small random rotations, shifts, scalings and shears of small images."""

import math

from semivit_tf.augment.affine import about_centre, affine
from semivit_tf.augment.randomness import uniforms


class RandomAffine:
    """Rotates, scales, shears and shifts about the centre; new area is black.

    Args:
        rotation: Float. Largest angle, in degrees.
        shift: Float. Largest shift, as a share of the image's side.
        scale: Float. The image is scaled by 1 - scale to 1 + scale.
        shear: Float. Largest shear factor.
    """

    def __init__(self, rotation=0.0, shift=0.0, scale=0.0, shear=0.0):
        self.rotation = rotation
        self.shift = shift
        self.scale = scale
        self.shear = shear

    def __call__(self, image, key):
        height, width, _ = image.shape
        turn, size, slant, down, right = 2.0 * uniforms(key, 5) - 1.0
        angle = math.radians(turn * self.rotation)
        zoom = 1.0 / (1.0 + size * self.scale)
        cosine, sine = zoom * math.cos(angle), zoom * math.sin(angle)
        linear = cosine, sine + zoom * slant * self.shear, -sine, cosine
        shift = right * self.shift * width, down * self.shift * height
        matrix = about_centre(linear, (height, width), shift)
        return affine(image, matrix, cubic=False)
