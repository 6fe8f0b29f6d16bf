"""A number as a vector of cosines and sines, the time token of U-ViT."""

import numpy as np
from keras import ops


def time_embedding(times, width):
    """Returns cosines, then sines, of the times at falling frequencies.

    The frequencies are 10000 ** (-k / (width / 2)). Times are of the order of 1000, so
    angles are computed in float32 at least.

    Args:
        times: Float tensor `[B]`.
        width: Even integer D.

    Returns:
        Float32 tensor `[B, D]`, all rows of which have the norm sqrt(D / 2).
    """
    half = width // 2
    frequencies = 10000.0 ** (-np.arange(half) / half)
    angles = ops.cast(times, "float32")[:, None] * frequencies.astype("float32")
    return ops.concatenate([ops.cos(angles), ops.sin(angles)], axis=-1)
