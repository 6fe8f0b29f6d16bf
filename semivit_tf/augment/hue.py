"""Rotation of an image's hues.

It works on hue, saturation and value in whole levels, converted as by Pillow and
rotated as by torchvision.
"""

import numpy as np

from semivit_tf.augment.native import native


@native
def _hue_and_saturation(red, green, blue):
    """Returns whole levels from 0 to 255, of one pixel."""
    value = max(red, green, blue)
    spread = value - min(red, green, blue)
    if spread == 0:
        return 0, 0
    width = np.float32(spread)
    to_red = np.float32(value - red) / width
    to_green = np.float32(value - green) / width
    to_blue = np.float32(value - blue) / width
    # Sixths of the circle, from red.
    if red == value:
        hue = np.float32(to_blue - to_green)
    elif green == value:
        hue = np.float32(2.0 + to_red - to_blue)
    else:
        hue = np.float32(4.0 + to_green - to_red)
    hue = np.float32((hue / 6.0 + 1.0) % 1.0)
    return int(hue * 255.0), int(width / np.float32(value) * 255.0)


@native
def _turned(pixels, turn):
    output = np.empty_like(pixels)
    for place in range(len(pixels)):
        red, green = np.int32(pixels[place, 0]), np.int32(pixels[place, 1])
        blue = np.int32(pixels[place, 2])
        hue, saturation = _hue_and_saturation(red, green, blue)
        value = max(red, green, blue)
        position = ((hue + turn) % 256) * 6.0 / 255.0
        sixth = int(position)
        rest, pure = np.float32(position - sixth), np.float32(saturation / 255.0)
        low = np.uint8(int(value * (1.0 - pure) + 0.5))
        falling = np.uint8(int(value * (1.0 - pure * rest) + 0.5))
        rising = np.uint8(int(value * (1.0 - pure * (1.0 - rest)) + 0.5))
        sixth %= 6
        top = np.uint8(value)
        if sixth == 0:
            red, green, blue = top, rising, low
        elif sixth == 1:
            red, green, blue = falling, top, low
        elif sixth == 2:
            red, green, blue = low, top, rising
        elif sixth == 3:
            red, green, blue = low, falling, top
        elif sixth == 4:
            red, green, blue = rising, low, top
        else:
            red, green, blue = top, low, falling
        output[place, 0], output[place, 1], output[place, 2] = red, green, blue
    return output


def turn_hue(image, share):
    """Rotates all hues of a uint8 image `[H, W, C]`; grey images stay as they are.

    Args:
        image: uint8 array `[H, W, C]`, contiguous.
        share: Float in [-0.5, 0.5], of the circle. Even 0 rounds colours to those
            that whole levels of hue, saturation and value can express.
    """
    if image.shape[2] == 1:
        return image
    turn = int(share * 255)  # towards zero
    return _turned(image.reshape(-1, 3), turn).reshape(image.shape)
