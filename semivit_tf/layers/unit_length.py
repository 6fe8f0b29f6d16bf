"""Vectors of length one."""

from keras import ops


def unit_length(vectors, axis=-1):
    """Divides vectors by their L2 norms, in float32; a zero vector stays zero."""
    vectors = ops.cast(vectors, "float32")
    squares = ops.sum(ops.square(vectors), axis=axis, keepdims=True)
    return vectors * ops.rsqrt(ops.maximum(squares, 1e-24))
