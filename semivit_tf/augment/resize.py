"""Resizing of a box of an image, as Pillow's `resize` does it.

The filter is Keys' bicubic, widened against aliasing where the image shrinks, first
across, then down, rounded in between. Both passes add whole rows, first of the
transposed image, because such loops compile to SIMD.
"""

import math

import numpy as np

from semivit_tf.augment.native import native


@native
def _cubic(distance):
    x = abs(distance)
    if x < 1.0:
        return (1.5 * x - 2.5) * x * x + 1.0
    if x < 2.0:
        return ((-0.5 * x + 2.5) * x - 4.0) * x + 2.0
    return 0.0


@native
def _weights(start, length, count, limit):
    """Returns for each output its first input, their number, and their weights."""
    scale = length / count
    wide = max(scale, 1.0)
    most = 2 * int(math.ceil(2.0 * wide)) + 1
    first = np.empty(count, np.int64)
    number = np.empty(count, np.int64)
    weights = np.zeros((count, most), np.float32)
    lowest = max(0, int(math.floor(start)))
    highest = min(limit, int(math.ceil(start + length)))
    for place in range(count):
        centre = start + (place + 0.5) * scale
        low = max(lowest, int(centre - 2.0 * wide + 0.5))
        high = min(highest, int(centre + 2.0 * wide + 0.5))
        total = 0.0
        for tap in range(high - low):
            total += _cubic((low + tap - centre + 0.5) / wide)
        for tap in range(high - low):
            weight = _cubic((low + tap - centre + 0.5) / wide)
            weights[place, tap] = weight / total
        first[place], number[place] = low, high - low
    return first, number, weights


@native
def _combine_rows(rows, first, number, weights, length):
    """Returns the weighted sums of rows `[:, :length]` that `_weights` asks for.

    The loops run over whole arrays, because only those compile to SIMD.
    """
    results = np.empty((len(first), length), np.uint8)
    total = np.empty(length, np.float32)
    for place in range(len(first)):
        total[:] = 0.5
        for tap in range(number[place]):
            weight = weights[place, tap]
            row = rows[first[place] + tap]
            for column in range(len(total)):
                total[column] += weight * np.float32(row[column])
        result = results[place]
        for column in range(len(total)):
            level = min(max(total[column], np.float32(0.0)), np.float32(255.0))
            result[column] = np.uint8(level)
    return results


_HALVES = np.uint64(0x00000000FFFFFFFF)
_QUARTERS = np.uint64(0x0000FFFF0000FFFF)
_EIGHTHS = np.uint64(0x00FF00FF00FF00FF)


@native
def _exchange(first, second, bits, low):
    """Exchanges the high parts of one word with the low parts of another."""
    return (
        (first & low) | ((second & low) << bits),
        ((first >> bits) & low) | (second & ~low),
    )


@native
def _turn_words(words):
    """Transposes blocks of 8 x 8 bytes, in registers."""
    rows, columns = words.shape
    turned = np.empty((columns * 8, rows // 8), np.uint64)
    four, two, one = np.uint64(32), np.uint64(16), np.uint64(8)
    for block in range(rows // 8):
        seen = words[8 * block : 8 * block + 8]
        for column in range(columns):
            a, e = _exchange(seen[0, column], seen[4, column], four, _HALVES)
            b, f = _exchange(seen[1, column], seen[5, column], four, _HALVES)
            c, g = _exchange(seen[2, column], seen[6, column], four, _HALVES)
            d, h = _exchange(seen[3, column], seen[7, column], four, _HALVES)
            a, c = _exchange(a, c, two, _QUARTERS)
            b, d = _exchange(b, d, two, _QUARTERS)
            e, g = _exchange(e, g, two, _QUARTERS)
            f, h = _exchange(f, h, two, _QUARTERS)
            made = turned[8 * column : 8 * column + 8]
            made[0, block], made[1, block] = _exchange(a, b, one, _EIGHTHS)
            made[2, block], made[3, block] = _exchange(c, d, one, _EIGHTHS)
            made[4, block], made[5, block] = _exchange(e, f, one, _EIGHTHS)
            made[6, block], made[7, block] = _exchange(g, h, one, _EIGHTHS)
    return turned


@native
def _turned(rows, first, last, begin, end):
    """Returns the transpose of a part of the rows, padded to multiples of eight.

    It moves words of eight bytes, which is faster than single bytes.
    """
    height, width = last - first, end - begin
    filled = np.empty((height + -height % 8, width + -width % 8), np.uint8)
    for row in range(height):
        line, seen = filled[row], rows[first + row][begin:end]
        for column in range(width):
            line[column] = seen[column]
    return _turn_words(filled.view(np.uint64)).view(np.uint8)


@native
def _resize(image, top, left, box_height, box_width, rows, columns, mirrored):
    height, width, channels = image.shape
    across, beside, right = _weights(left, box_width, columns, width)
    down, below, under = _weights(top, box_height, rows, height)
    first, begin = down[0], across[0]
    last, end = down[-1] + below[-1], across[-1] + beside[-1]
    if mirrored:
        across, beside, right = across[::-1], beside[::-1], right[::-1]
    lines = image.reshape((height, width * channels))
    sides = _turned(lines, first, last, begin * channels, end * channels)
    sides = sides[: (end - begin) * channels].reshape((end - begin, -1))
    narrow = _combine_rows(sides, across - begin, beside, right, sides.shape[1])
    length = columns * channels
    narrow = narrow.reshape((length, -1))
    upright = _turned(narrow, 0, length, 0, narrow.shape[1])
    small = _combine_rows(upright, down - first, below, under, length)
    return small.reshape((rows, columns, channels))


def resize(image, box, size, mirrored=False):
    """Resizes a box of an image.

    Args:
        image: Contiguous uint8 array `[H, W, C]`.
        box: Tuple `(top, left, height, width)` in pixels, not necessarily whole.
        size: Tuple `(rows, columns)` of the result.
        mirrored: Bool. Whether to mirror left and right, which costs nothing here.

    Returns:
        uint8 array `[rows, columns, C]`; the image itself when nothing changes.
    """
    if tuple(box) == (0, 0, *image.shape[:2]) and tuple(size) == image.shape[:2]:
        return np.ascontiguousarray(image[:, ::-1]) if mirrored else image
    edges = (float(number) for number in box)
    return _resize(np.ascontiguousarray(image), *edges, *size, bool(mirrored))
