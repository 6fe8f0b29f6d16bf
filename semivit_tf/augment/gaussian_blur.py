"""Gaussian blur at a cost that does not grow with the radius.

It is three box means along rows and three along columns, rounded in between; the
outermost pixels of a box count in part. So does Pillow's `GaussianBlur`. Edges are
repeated.

Reference:
    Gwosdek et al., Theoretical Foundations of Gaussian Convolution by Extended Box
    Filtering, 2011.
"""

import numpy as np

from semivit_tf.augment.native import native
from semivit_tf.augment.randomness import uniforms

_PASSES = 3


def box_radius(radius):
    """Returns the radius of the boxes, a float, for a Gaussian's deviation."""
    variance = np.float32(radius) ** 2 / np.float32(_PASSES)
    length = np.sqrt(12.0 * float(variance) + 1.0)
    whole = np.float32(np.floor((length - 1.0) / 2.0))
    # The share of the outermost pixels, equation 14.
    share = (2 * whole + 1) * (whole * (whole + 1) - 3 * variance)
    share /= 6 * (variance - (whole + 1) * (whole + 1))
    return np.float32(whole + share)


@native
def _means_of_rows(rows, reach, weight, outer_weight):
    """Returns for each row the mean of those around it; weights count 2**-24."""
    results = np.empty_like(rows)
    last, length = len(rows) - 1, rows.shape[1]
    total = np.zeros(length, np.uint32)
    for place in range(-reach, reach + 1):
        row = rows[min(max(place, 0), last)]
        for column in range(length):
            total[column] += np.uint32(row[column])
    for place in range(last + 1):
        before = rows[max(place - reach - 1, 0)]
        leaving = rows[max(place - reach, 0)]
        after = rows[min(place + reach + 1, last)]
        result = results[place]
        for column in range(length):
            outer = np.uint32(before[column]) + np.uint32(after[column])
            level = np.uint32(total[column] * weight + outer * outer_weight)
            result[column] = np.uint8((level + np.uint32(1 << 23)) >> np.uint32(24))
            total[column] += np.uint32(after[column]) - np.uint32(leaving[column])
    return results


def _blur_down(image, radius):
    height, width, channels = image.shape
    reach = int(radius)
    weight = np.uint32((1 << 24) / (radius * np.float32(2) + np.float32(1)))
    outer_weight = np.uint32(((1 << 24) - (2 * reach + 1) * int(weight)) // 2)
    rows = image.reshape(height, width * channels)
    for _ in range(_PASSES):
        rows = _means_of_rows(rows, reach, weight, outer_weight)
    return rows.reshape(image.shape)


def gaussian_blur(image, radius):
    """Blurs an image.

    Args:
        image: uint8 array `[H, W, C]`, contiguous.
        radius: Float. Standard deviation of the Gaussian, in pixels.
    """
    radius = box_radius(radius)
    across = np.ascontiguousarray(image.transpose(1, 0, 2))
    across = _blur_down(across, radius).transpose(1, 0, 2)
    return _blur_down(np.ascontiguousarray(across), radius)


class RandomBlur:
    """Blurs by a random radius.

    Args:
        radius: Tuple of the smallest and the largest, in pixels.
    """

    def __init__(self, radius=(0.1, 2.0)):
        self.radius = radius

    def __call__(self, image, key):
        low, high = self.radius
        return gaussian_blur(image, low + uniforms(key, 1)[0] * (high - low))
