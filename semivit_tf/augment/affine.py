"""Affine maps of an image: rotations, shears and shifts, as Pillow does them.

The map goes from the centres of the output's pixels to the input. Between the input's
pixels it is bicubic (Keys' filter with a = -1) or bilinear, with the border repeated
for the filter; outside of the input there is a fill.
"""

import math

import numpy as np

from semivit_tf.augment.native import native


@native
def _between(first, second, third, fourth, offset, cubic):
    """Interpolates at an offset in [0, 1) behind the second of four values."""
    if not cubic:
        return second + offset * (third - second)
    slope = third - first
    bend = 2.0 * (first - second) + third - fourth
    twist = second - first + fourth - third
    return second + offset * (slope + offset * (bend + offset * twist))


@native
def _along_row(image, line, columns, channel, offset, cubic):
    second = np.float64(image[line, columns[1], channel])
    if offset == 0.0:
        return second
    first = np.float64(image[line, columns[0], channel])
    third = np.float64(image[line, columns[2], channel])
    fourth = np.float64(image[line, columns[3], channel])
    return _between(first, second, third, fourth, offset, cubic)


@native
def _four_around(place, size):
    """Returns the four neighbours of a place, repeating the border."""
    return (
        min(max(place - 1, 0), size - 1),
        min(max(place, 0), size - 1),
        min(max(place + 1, 0), size - 1),
        min(max(place + 2, 0), size - 1),
    )


@native
def _affine(image, matrix, fill, cubic):
    height, width, channels = image.shape
    output = np.empty_like(image)
    for row in range(height):
        for column in range(width):
            across, down = column + 0.5, row + 0.5
            x = matrix[0] * across + matrix[1] * down + matrix[2]
            y = matrix[3] * across + matrix[4] * down + matrix[5]
            if x < 0.0 or x >= width or y < 0.0 or y >= height:
                for channel in range(channels):
                    output[row, column, channel] = fill[channel]
                continue
            left, top = math.floor(x - 0.5), math.floor(y - 0.5)
            right, below = x - 0.5 - left, y - 0.5 - top
            columns = _four_around(int(left), width)
            lines = _four_around(int(top), height)
            for channel in range(channels):
                level = _along_row(image, lines[1], columns, channel, right, cubic)
                if below != 0.0:
                    level = _between(
                        _along_row(image, lines[0], columns, channel, right, cubic),
                        level,
                        _along_row(image, lines[2], columns, channel, right, cubic),
                        _along_row(image, lines[3], columns, channel, right, cubic),
                        below,
                        cubic,
                    )
                output[row, column, channel] = np.uint8(min(max(level, 0.0), 255.0))
    return output


@native
def _shift_rows(image, shifts, fill, cubic):
    """Moves each row by its own shift: the output at x shows the input at x + shift.

    All pixels of a row have the same weights, so the loops compile to SIMD.
    """
    height, width, channels = image.shape
    output = np.empty_like(image)
    length, border = width * channels, 2 * channels
    line = np.empty(length + 2 * border)
    for row in range(height):
        whole = int(math.floor(shifts[row]))
        offset = shifts[row] - whole
        # The outputs whose centres come from inside of the input.
        begin = min(max(int(math.ceil(-0.5 - shifts[row])), 0), width)
        end = max(min(int(math.ceil(width - 0.5 - shifts[row])), width), begin)
        output[row, :begin] = fill
        output[row, end:] = fill
        if begin == end:
            continue
        seen = image[row].reshape(-1)
        inner = line[border : border + length]
        for place in range(length):
            inner[place] = seen[place]
        for place in range(border):
            line[place] = seen[place % channels]
            line[border + length + place] = seen[length - channels + place % channels]
        start = (begin + whole + 1) * channels
        levels = output[row, begin:end].reshape(-1)
        neighbours = line[start : start + len(levels) + 3 * channels]
        for place in range(len(levels)):
            level = _between(
                neighbours[place],
                neighbours[place + channels],
                neighbours[place + 2 * channels],
                neighbours[place + 3 * channels],
                offset,
                cubic,
            )
            # By way of int32, which compilers can turn into bytes by SIMD.
            levels[place] = np.uint8(np.int32(min(max(level, 0.0), 255.0)))
    return output


def affine(image, matrix, fill=None, cubic=True):
    """Moves an image by an affine map.

    Args:
        image: Contiguous uint8 array `[H, W, C]`.
        matrix: Six numbers a, b, c, d, e, f: the output at (x, y) shows the input at
            (a x + b y + c, d x + e y + f), measured from the top left corner.
        fill: Integers, one per channel; black by default.
        cubic: Bool. Bicubic, else bilinear.
    """
    height, width, channels = image.shape
    fill = np.zeros(channels, "uint8") if fill is None else np.uint8(fill)
    a, b, c, d, e, f = (float(number) for number in matrix)
    if (a, d, e, f) == (1, 0, 1, 0):
        return _shift_rows(image, b * (np.arange(height) + 0.5) + c, fill, cubic)
    if (a, b, c, d, e) == (1, 0, 0, 0, 1):
        # All columns move alike: take the image for one row, whose pixels are rows.
        rows = image.reshape(1, height, width * channels)
        moved = _shift_rows(rows, np.array([f]), np.tile(fill, width), cubic)
        return moved.reshape(image.shape)
    if cubic and (a, b, c, e) == (1, 0, 0, 1):
        # Each column has its own shift: in the transposed image each row has.
        side = np.ascontiguousarray(image.swapaxes(0, 1))
        moved = _shift_rows(side, d * (np.arange(width) + 0.5) + f, fill, cubic)
        return np.ascontiguousarray(moved.swapaxes(0, 1))
    return _affine(image, np.array([a, b, c, d, e, f]), fill, cubic)


def about_centre(linear, size, shift=(0.0, 0.0)):
    """Returns the six numbers of a linear map that leaves the centre where it is.

    Args:
        linear: Numbers a, b, d, e of the map from output to input.
        size: Tuple `(H, W)`.
        shift: Tuple `(right, down)` that the image is moved by, in pixels.
    """
    a, b, d, e = linear
    x, y = size[1] / 2.0, size[0] / 2.0
    right, down = shift
    c = x - a * (x + right) - b * (y + down)
    f = y - d * (x + right) - e * (y + down)
    return a, b, c, d, e, f


def rotation(degrees):
    """Returns the linear map that turns an image counter-clockwise."""
    angle = -math.radians(degrees)
    return math.cos(angle), math.sin(angle), -math.sin(angle), math.cos(angle)
