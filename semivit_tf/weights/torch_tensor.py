"""Tensors in a PyTorch file: views of storages, described in a pickle."""

import dataclasses
import math
from collections.abc import Callable

import numpy as np

from semivit_tf.weights.pickle_machine import Inert
from semivit_tf.weights.stored_array import StoredArray
from semivit_tf.weights.weights_error import WeightsError

# NumPy has no bfloat16, whose numbers are the upper halves of float32 ones.
BFLOAT16 = np.dtype([("upper_half", "u2")])
STORAGES = {
    "BFloat16Storage": BFLOAT16,
    "BoolStorage": np.dtype("?"),
    "ByteStorage": np.dtype("u1"),
    "CharStorage": np.dtype("i1"),
    "DoubleStorage": np.dtype("f8"),
    "FloatStorage": np.dtype("f4"),
    "HalfStorage": np.dtype("f2"),
    "IntStorage": np.dtype("i4"),
    "LongStorage": np.dtype("i8"),
    "ShortStorage": np.dtype("i2"),
}
# Further objects that published files hold, which are not used.
THROWN_AWAY = (
    "__builtin__.frozenset",
    "__builtin__.set",
    "builtins.frozenset",
    "builtins.set",
    "_codecs.encode",
    "argparse.Namespace",
    "numpy._core.multiarray.scalar",
    "numpy.core.multiarray.scalar",
    "numpy.dtype",
    "pathlib.PosixPath",
    "pathlib.PurePosixPath",
    "pathlib.WindowsPath",
    "torch.device",
)


@dataclasses.dataclass(frozen=True)
class Storage:
    """A flat array of numbers in a file.

    Attributes:
        count: Integer. How many numbers; at most what the file holds.
        load: Function without arguments that returns them as an array `[count]`.
    """

    count: int
    load: Callable


def _is_count(value):
    return type(value) is int and 0 <= value < 2**48


def _are_counts(values):
    return isinstance(values, tuple) and all(_is_count(value) for value in values)


def strided_view(storage, offset, shape, strides):
    """Returns the `StoredArray` of a view, which must lie within its storage.

    Views that repeat numbers are refused, so that no array is larger than its file.
    """
    if (
        not isinstance(storage, Storage)
        or not _is_count(offset)
        or not _are_counts(shape)
        or not _are_counts(strides)
        or len(shape) != len(strides)
        or len(shape) > 16
    ):
        raise WeightsError("a tensor of the file is described in an unknown way")
    pairs = list(zip(shape, strides, strict=True))
    last = offset + sum((side - 1) * stride for side, stride in pairs)
    count = math.prod(shape)
    if count and (last >= storage.count or count > storage.count):
        raise WeightsError("a tensor of the file reaches beyond its numbers")

    def load():
        numbers = storage.load()
        if not count:
            return np.zeros(shape, numbers.dtype)
        steps = tuple(stride * numbers.itemsize for stride in strides)
        view = np.lib.stride_tricks.as_strided(numbers[offset:], shape, steps)
        if view.dtype.names:
            return (view["upper_half"].astype("u4") << 16).view("f4")
        return view

    return StoredArray(shape, load)


def _rebuild_tensor(*arguments):
    if len(arguments) < 4:
        raise WeightsError("a tensor of the file is described in an unknown way")
    return strided_view(*arguments[:4])


def _rebuild_parameter(*arguments):
    if not arguments or not isinstance(arguments[0], StoredArray):
        raise WeightsError("a parameter of the file is described in an unknown way")
    return arguments[0]


def _ordered_dict(*arguments):
    pairs = arguments[0] if arguments else []
    if len(arguments) > 1 or not isinstance(pairs, list):
        raise WeightsError("a dict of the file is described in an unknown way")
    for pair in pairs:
        if not isinstance(pair, list | tuple) or len(pair) != 2:
            raise WeightsError("a dict of the file is described in an unknown way")
        if not isinstance(pair[0], str):
            raise WeightsError("a dict of the file has keys that are not names")
    return dict(pairs)


def _size(*arguments):
    if len(arguments) != 1 or not _are_counts(arguments[0]):
        raise WeightsError("a size of the file is described in an unknown way")
    return arguments[0]


def _thrown_away(*_):
    return Inert()


NAMES = {
    "collections.OrderedDict": _ordered_dict,
    "torch.Size": _size,
    "torch._utils._rebuild_parameter": _rebuild_parameter,
    "torch._utils._rebuild_parameter_with_state": _rebuild_parameter,
    "torch._utils._rebuild_tensor": _rebuild_tensor,
    "torch._utils._rebuild_tensor_v2": _rebuild_tensor,
    **{f"torch.{name}": dtype for name, dtype in STORAGES.items()},
    **dict.fromkeys(THROWN_AWAY, _thrown_away),
}


def read_reference(reference, length):
    """Checks a pickle's reference to a storage.

    Args:
        reference: What the pickle gives.
        length: Integer. How many entries it has in this kind of file.

    Returns:
        Tuple `(dtype, key, count, rest)`.
    """
    if (
        not isinstance(reference, tuple)
        or len(reference) != length
        or reference[0] not in ("storage", b"storage")
        or not isinstance(reference[1], np.dtype)
        or not isinstance(reference[2], str)
        or not _is_count(reference[4])
    ):
        raise WeightsError("the pickle refers to data in an unknown way")
    return reference[1], reference[2], reference[4], reference[5:]
