"""The arrays in a `.safetensors` file, whose header is checked."""

import functools

from semivit_tf.weights.stored_array import StoredArray
from semivit_tf.weights.weights_error import WeightsError

FLOATS = ("BF16", "F16", "F32", "F64")


def read_safetensors(file):
    """Returns a dict of name to `StoredArray` of an open safetensors file."""
    return {name: _describe(file, name) for name in file.keys()}


def _describe(file, name):
    view = file.get_slice(name)
    shape, dtype = tuple(view.get_shape()), view.get_dtype()
    return StoredArray(shape, functools.partial(_load, file, name, dtype))


def _load(file, name, dtype):
    if dtype not in FLOATS:
        raise WeightsError(f"weights should be floats. Received: {dtype}")
    return file.get_tensor(name)
