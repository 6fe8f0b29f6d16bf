"""Random draws for an image, which depend on its key alone.

A key is made of (seed, stream, epoch, index), so what happens to an image does not
depend on its batch, its worker, or earlier draws: any step can be repeated. The numbers
are those of the counter-based generator SplitMix64.
"""

import numpy as np
from scipy.special import ndtri

from semivit_tf.augment.native import brief, native

_STEP = np.uint64(0x9E3779B97F4A7C15)
_MIX1 = np.uint64(0xBF58476D1CE4E5B9)
_MIX2 = np.uint64(0x94D049BB133111EB)
# Quantiles of the normal distribution, for draws of 16 bits.
_QUANTILES = ndtri((np.arange(2**16) + 0.5) / 2**16).astype("float32")


@brief
def _scramble(bits):
    bits = (bits ^ (bits >> np.uint64(30))) * _MIX1
    bits = (bits ^ (bits >> np.uint64(27))) * _MIX2
    return bits ^ (bits >> np.uint64(31))


@brief
def _derive(key, number):
    return _scramble(key * _STEP + np.uint64(number) + _STEP)


@brief
def _image_key(seed, stream, epoch, index):
    return _derive(_derive(_derive(seed, stream), epoch), index)


def derive(key, number):
    """Returns a new key (uint64) for one of several uses of a key."""
    return np.uint64(_derive(np.uint64(key), np.uint64(number)))


def image_key(seed, stream, epoch, index):
    """Returns the key (uint64) of an image.

    Args:
        seed: Integer. The seed of the run.
        stream: Integer that tells views of the same image apart.
        epoch: Integer.
        index: Integer. The image's position in its source.
    """
    seed = np.uint64(int(seed) % 2**64)
    return np.uint64(_image_key(seed, int(stream), int(epoch), int(index)))


@brief
def _uniforms(key, count):
    draws = np.empty(count)
    for place in range(count):
        bits = _scramble(key + np.uint64(place + 1) * _STEP)
        draws[place] = np.float64(bits >> np.uint64(11)) * 2.0**-53
    return draws


def uniforms(key, count):
    """Draws floats in [0, 1): `[count]`, always the same for a key."""
    return _uniforms(np.uint64(key), count)


@native
def _normals(key, count, quantiles):
    draws = np.empty(count + 3, np.float32)
    for place in range(0, count, 4):
        bits = _scramble(key + np.uint64(place + 1) * _STEP)
        for part in range(4):
            draws[place + part] = quantiles[bits & np.uint64(0xFFFF)]
            bits >>= np.uint64(16)
    return draws[:count]


def normals(key, count):
    """Draws float32 numbers from the standard normal distribution: `[count]`.

    They are quantiles at 65536 equal steps, so none exceeds 4.2, which is enough for
    the noise of pixels.
    """
    return _normals(np.uint64(key), count, _QUANTILES)
