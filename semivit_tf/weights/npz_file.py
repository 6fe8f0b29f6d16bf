"""The arrays in an `.npz` file; objects, which would be pickles, are refused."""

import math
import re

import numpy as np

from semivit_tf.weights.stored_array import StoredArray
from semivit_tf.weights.weights_error import WeightsError

# The header that numpy writes before an array; other spellings are refused.
_HEADER = re.compile(
    r"\{'descr': '(?P<dtype>[<>|=]?(?:b1|f[248]|[iu][1248]))', "
    r"'fortran_order': (?P<fortran>True|False), "
    r"'shape': \((?P<shape>[\d, ]{0,200})\), \}\s*"
)


def read_header(member):
    """Reads the header of an open array: `(dtype, fortran_order, shape)`."""
    start = member.read(8)
    lengths = {b"\x01\x00": 2, b"\x02\x00": 4, b"\x03\x00": 4}
    if start[:6] != b"\x93NUMPY" or start[6:] not in lengths:
        raise WeightsError("an array of the archive does not start as one")
    length = int.from_bytes(member.read(lengths[start[6:]]), "little")
    found = None
    if length <= 10_000:
        found = _HEADER.fullmatch(member.read(length).decode("latin1"))
    if not found:
        raise WeightsError("an array of the archive is no plain array of numbers")
    sides = [side for side in found["shape"].replace(" ", "").split(",") if side]
    if any(len(side) > 15 for side in sides):
        raise WeightsError("an array of the archive has an impossible shape")
    shape = tuple(int(side) for side in sides)
    return np.dtype(found["dtype"]), found["fortran"] == "True", shape


def read_npz(archive):
    """Returns a dict of name to `StoredArray` of an open `ZipFile`."""
    return {
        name.removesuffix(".npy"): _describe(archive, name)
        for name in archive.namelist()
        if name.endswith(".npy")
    }


def _describe(archive, name):
    entry = archive.getinfo(name)
    if entry.flag_bits & 1 or entry.compress_type not in (0, 8):
        raise WeightsError("the archive is encrypted or packed in an unknown way")
    with archive.open(entry) as member:
        dtype, fortran, shape = read_header(member)
        start = member.tell()
    if start + math.prod(shape) * dtype.itemsize != entry.file_size:
        raise WeightsError(f"{name[:80]!r} has another size than its shape says")

    def load():
        with archive.open(entry) as member:
            content = member.read(entry.file_size)[start:]
        if len(content) != entry.file_size - start:
            raise WeightsError(f"{name[:80]!r} ends early")
        numbers = np.frombuffer(content, dtype)
        return numbers.reshape(shape, order="F" if fortran else "C")

    return StoredArray(shape, load)
