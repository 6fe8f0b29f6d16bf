"""Where do an image's random draws come from? From its key alone.

A key is made of (seed, stream, epoch, index), so what happens to an image does not
depend on its batch, its worker, or what was drawn before: any step can be rebuilt. The
numbers are those of the counter-based generator SplitMix64.
"""

import tensorflow as tf

_STEP = 0x9E3779B97F4A7C15
_MIX1 = 0xBF58476D1CE4E5B9
_MIX2 = 0x94D049BB133111EB


def _uint64(value):
    return tf.constant(value, tf.uint64)


def _scramble(bits):
    shift = tf.bitwise.right_shift
    bits = (bits ^ shift(bits, _uint64(30))) * _uint64(_MIX1)
    bits = (bits ^ shift(bits, _uint64(27))) * _uint64(_MIX2)
    return bits ^ shift(bits, _uint64(31))


def image_keys(seed, stream, epoch, index):
    """Returns the keys `[N]` (uint64) of images.

    Args:
        seed: Integer. The seed of the run.
        stream: Integer that tells views of the same image apart.
        epoch: Integer tensor `[N]`.
        index: Integer tensor `[N]`. Positions in the source.
    """
    keys = tf.fill(tf.shape(index), _uint64(seed % 2**64))
    for part in (stream, epoch, index):
        part = tf.cast(part, tf.uint64)
        keys = _scramble(keys * _uint64(_STEP) + part + _uint64(_STEP))
    return keys


def uniforms(keys, count, salt=0):
    """Draws floats in [0, 1) for each key: `[N, count]`.

    Args:
        keys: uint64 tensor `[N]`.
        count: Integer.
        salt: Integer that tells apart several calls for the same keys.
    """
    steps = tf.range(1, count + 1, dtype=tf.int64)
    steps = tf.cast(steps, tf.uint64) * _uint64(_STEP)
    start = _scramble(keys + _uint64(salt * _MIX2 % 2**64))
    bits = _scramble(start[:, None] + steps[None, :])
    top = tf.bitwise.right_shift(bits, _uint64(40))  # 24 bits fill a float32's mantissa
    return tf.cast(tf.cast(top, tf.int32), tf.float32) * 2.0**-24
