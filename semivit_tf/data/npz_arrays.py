"""The arrays of an `.npz` file, whatever its headers say.

`numpy.load` allocates what a header declares before it reads. Here an array is as large
as its contents are, and has to be as large as its header says.
"""

import math
import zipfile
import zlib

import numpy as np

_HEADERS = {
    (1, 0): np.lib.format.read_array_header_1_0,
    (2, 0): np.lib.format.read_array_header_2_0,
}
_UNREADABLE = (
    EOFError,
    MemoryError,
    NotImplementedError,
    OSError,
    OverflowError,
    RuntimeError,
    TypeError,
    ValueError,
    zipfile.BadZipFile,
    zlib.error,
)


def read_npz_arrays(path):
    """Returns a dict of name to array; objects, which would be pickles, are refused.

    Raises:
        ValueError: If the file is no such archive, or broken.
    """
    try:
        with zipfile.ZipFile(path) as archive:
            return {
                name.removesuffix(".npy"): _read(archive, name)
                for name in archive.namelist()
                if name.endswith(".npy")
            }
    except _UNREADABLE as error:
        reason = " ".join(str(error).split()) or type(error).__name__
        raise ValueError(f"{path} cannot be read as .npz: {reason}") from error


def _read(archive, name):
    with archive.open(name) as member:
        version = np.lib.format.read_magic(member)
        if version not in _HEADERS:
            raise ValueError(f"{name} has a header of version {version}")
        shape, fortran_order, dtype = _HEADERS[version](member)
        if dtype.hasobject:
            raise ValueError(f"{name} holds objects, not numbers")
        content = member.read()
    if len(content) != math.prod(shape) * dtype.itemsize:
        raise ValueError(
            f"{name} should hold an array {dtype} {shape}. Received: {len(content)} "
            "bytes"
        )
    if not dtype.itemsize:
        return np.empty(shape, dtype)
    values = np.frombuffer(content, dtype)
    return values.reshape(shape, order="F" if fortran_order else "C")
