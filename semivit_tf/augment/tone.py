"""Changes of an image's grey levels and colours.

Each function takes and returns a contiguous uint8 array `[H, W, C]`, C 1 or 3, with the
results of the operation of that name in Pillow's `ImageOps` or `ImageEnhance`. A
`factor` blends: 0 gives the degenerate image (black, grey, blurred), 1 the image
itself, more goes beyond it.
"""

import numpy as np

from semivit_tf.augment.native import native


@native
def _look_up(image, tables):
    output = np.empty_like(image)
    height, width, channels = image.shape
    for row in range(height):
        for column in range(width):
            for channel in range(channels):
                level = image[row, column, channel]
                output[row, column, channel] = tables[channel, level]
    return output


@native
def _histograms(image):
    height, width, channels = image.shape
    counts = np.zeros((channels, 256), np.int64)
    for row in range(height):
        for column in range(width):
            for channel in range(channels):
                counts[channel, image[row, column, channel]] += 1
    return counts


@native
def _solarized(levels, threshold):
    changed = np.empty_like(levels)
    for place in range(len(levels)):
        level = levels[place]
        changed[place] = level if level < threshold else ~level
    return changed


@native
def _lightened(levels, threshold, addition):
    changed = np.empty_like(levels)
    for place in range(len(levels)):
        level = np.int32(levels[place])
        lighter = min(level + np.int32(addition), np.int32(255))
        changed[place] = lighter if level < threshold else level
    return changed


_LEVELS = np.arange(256)


# === Grey levels ===


def invert(image):
    """Turns light into dark."""
    return 255 - image


def posterize(image, bits):
    """Keeps the highest bits of each level; 0 bits leave a black image."""
    return image & np.uint8(256 - 2 ** (8 - bits) if bits < 8 else 255)


def solarize(image, threshold):
    """Inverts levels from a threshold on."""
    return _solarized(image.reshape(-1), threshold).reshape(image.shape)


def solarize_add(image, addition, threshold=128):
    """Lightens levels below a threshold."""
    return _lightened(image.reshape(-1), threshold, addition).reshape(image.shape)


def auto_contrast(image):
    """Stretches the levels of each channel to all of 0 to 255."""
    tables = np.empty((image.shape[2], 256), np.uint8)
    for table, counts in zip(tables, _histograms(image), strict=True):
        used = np.flatnonzero(counts)
        low, high = used[0], used[-1]
        if high <= low:
            table[:] = _LEVELS
        else:
            scale = 255.0 / (high - low)
            table[:] = np.clip(np.trunc(_LEVELS * scale - low * scale), 0, 255)
    return _look_up(image, tables)


def equalize(image):
    """Spreads the levels of each channel so that all are equally frequent."""
    tables = np.empty((image.shape[2], 256), np.uint8)
    for table, counts in zip(tables, _histograms(image), strict=True):
        used = counts[counts > 0]
        step = (counts.sum() - used[-1]) // 255
        if len(used) <= 1 or step == 0:
            table[:] = _LEVELS
        else:
            below = np.concatenate([[0], np.cumsum(counts)[:-1]])
            table[:] = np.minimum((step // 2 + below) // step, 255)
    return _look_up(image, tables)


# === Blends ===


@native
def _blend(degenerate, levels, factor):
    """Blends flat arrays, in float32 and truncated as by Pillow."""
    blended = np.empty_like(levels)
    for place in range(len(levels)):
        start = np.float32(degenerate[place])
        level = start + factor * (np.float32(levels[place]) - start)
        blended[place] = np.uint8(min(max(level, np.float32(0.0)), np.float32(255.0)))
    return blended


@native
def _blend_with_level(degenerate, levels, factor):
    blended = np.empty_like(levels)
    start = np.float32(degenerate)
    for place in range(len(levels)):
        level = start + factor * (np.float32(levels[place]) - start)
        blended[place] = np.uint8(min(max(level, np.float32(0.0)), np.float32(255.0)))
    return blended


@native
def _grey(pixels):
    """Returns the luminance `[N, 3]` of pixels `[N, 3]`, three times."""
    grey = np.empty_like(pixels)
    for place in range(len(pixels)):
        level = np.int32(pixels[place, 0]) * np.int32(19595)
        level += np.int32(pixels[place, 1]) * np.int32(38470)
        level += np.int32(pixels[place, 2]) * np.int32(7471)
        level = (level + np.int32(32768)) >> np.int32(16)
        grey[place, 0] = grey[place, 1] = grey[place, 2] = level
    return grey


@native
def _mean_grey(pixels):
    """Returns the mean luminance of pixels `[N, 3]`."""
    total = 0
    for place in range(len(pixels)):
        level = np.int32(pixels[place, 0]) * np.int32(19595)
        level += np.int32(pixels[place, 1]) * np.int32(38470)
        level += np.int32(pixels[place, 2]) * np.int32(7471)
        total += (level + np.int32(32768)) >> np.int32(16)
    return total / len(pixels)


@native
def _smoothed(image):
    """Returns 3x3 means with a fivefold centre; the border as it is."""
    smoothed = image.copy()
    height, width, channels = image.shape
    columns = np.empty(width * channels, np.float32)
    # Sums are integers, so a thirteenth of one is never close to a half.
    share, half = np.float32(1 / 13), np.float32(0.5)
    for row in range(1, height - 1):
        above, below = image[row - 1].reshape(-1), image[row + 1].reshape(-1)
        here, made = image[row].reshape(-1), smoothed[row].reshape(-1)
        for place in range(len(here)):
            total = np.float32(above[place]) + np.float32(here[place])
            columns[place] = total + np.float32(below[place])
        for place in range(channels, len(here) - channels):
            total = columns[place - channels] + columns[place]
            total += columns[place + channels]
            total += np.float32(4.0) * np.float32(here[place])
            made[place] = np.uint8(np.int32(total * share + half))
    return smoothed


def _blended(degenerate, image, factor):
    flat = image.reshape(-1), np.float32(factor)
    if np.ndim(degenerate) == 0:
        return _blend_with_level(degenerate, *flat).reshape(image.shape)
    return _blend(degenerate.reshape(-1), *flat).reshape(image.shape)


def grey(image):
    """Returns the luminance, in as many channels as the image has."""
    if image.shape[2] == 1:
        return image
    return _grey(image.reshape(-1, 3)).reshape(image.shape)


def brightness(image, factor):
    """Blends with black."""
    return _blended(0, image, factor)


def contrast(image, factor):
    """Blends with the mean grey level."""
    colour = image.shape[2] == 3
    mean = _mean_grey(image.reshape(-1, 3)) if colour else image.mean()
    return _blended(int(mean + 0.5), image, factor)


def saturation(image, factor):
    """Blends with the grey image; grey images stay as they are."""
    return image if image.shape[2] == 1 else _blended(grey(image), image, factor)


def sharpness(image, factor):
    """Blends with a smoothed image; the outermost pixels stay as they are."""
    return _blended(_smoothed(image), image, factor)
