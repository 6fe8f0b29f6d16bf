"""Files that `torch.save` wrote, read without PyTorch and without running code.

There are two kinds: a zip archive with one entry for each storage, and, from before
PyTorch 1.6, a sequence of pickles with the storages after them.
"""

import functools
import io
import os
import struct

import numpy as np

from semivit_tf.weights.pickle_machine import PickleMachine
from semivit_tf.weights.torch_tensor import NAMES, Storage, read_reference
from semivit_tf.weights.weights_error import WeightsError

LARGEST_PICKLE = 64 * 2**20
MAGIC = 0x1950A86A20F9469CFC6C
# The pickled magic number that legacy files start with.
LEGACY_START = b"\x80\x02\x8a\n" + MAGIC.to_bytes(10, "little") + b"."


def checked_entry(archive, name):
    """Returns an entry's `ZipInfo`; compressed or encrypted entries are refused."""
    try:
        entry = archive.getinfo(name)
    except KeyError:
        raise WeightsError(f"the archive has no entry {name[:80]!r}") from None
    if entry.compress_type or entry.flag_bits & 1:
        raise WeightsError("the archive should be neither compressed nor encrypted")
    return entry


def read_zip(archive):
    """Returns what was saved in an open `ZipFile`; tensors are `StoredArray`."""
    pickles = [n for n in archive.namelist() if n.split("/")[1:] == ["data.pkl"]]
    if len(pickles) != 1:
        raise WeightsError(
            "the archive should have one entry data.pkl, as torch writes"
        )
    folder = pickles[0].split("/")[0]
    if checked_entry(archive, pickles[0]).file_size > LARGEST_PICKLE:
        raise WeightsError("the archive's pickle is too large to describe weights")
    order = _byte_order(archive, folder)

    # Tensors that follow each other often share a storage; older ones are freed.
    @functools.lru_cache(maxsize=1)
    def load(name, dtype, count):
        content = archive.read(checked_entry(archive, name))
        return np.frombuffer(content, dtype, count)

    def refer(reference):
        dtype, key, count, _ = read_reference(reference, 5)
        name = f"{folder}/data/{key}"
        if checked_entry(archive, name).file_size < count * dtype.itemsize:
            raise WeightsError("a storage of the file is shorter than it should be")
        dtype = dtype.newbyteorder(order)
        return Storage(count, functools.partial(load, name, dtype, count))

    content = archive.read(checked_entry(archive, pickles[0]))
    return PickleMachine(NAMES, refer).read(io.BytesIO(content))


def _byte_order(archive, folder):
    name = f"{folder}/byteorder"
    if name not in archive.namelist():
        return "<"
    if checked_entry(archive, name).file_size > 16:
        raise WeightsError("the archive's byte order is unknown")
    order = {b"little": "<", b"big": ">"}.get(archive.read(name))
    if order is None:
        raise WeightsError("the archive's byte order is unknown")
    return order


class LegacyStorages:
    """The storages of a legacy file, which come after its pickles.

    Args:
        file: Binary file.
    """

    def __init__(self, file):
        self.file = file
        self.claims, self.places = {}, {}

    def refer(self, reference):
        """Returns the `Storage` that a pickled reference, or a view of it, means."""
        dtype, key, count, (view,) = read_reference(reference, 6)
        if self.claims.setdefault(key, (dtype, count)) != (dtype, count):
            raise WeightsError("a storage of the file is described twice, differently")
        if view is None:
            return Storage(count, functools.partial(self.load, key, 0, count))
        if not isinstance(view, tuple) or len(view) != 3:
            raise WeightsError("the pickle refers to data in an unknown way")
        _, start, length = view
        if type(start) is not int or type(length) is not int:
            raise WeightsError("the pickle refers to data in an unknown way")
        if not 0 <= start <= start + length <= count:
            raise WeightsError("a storage of the file is shorter than it should be")
        return Storage(length, functools.partial(self.load, key, start, length))

    def locate(self, keys, start, end):
        """Finds the storages between two positions of the file, in order of keys."""
        if type(keys) is not list or not all(isinstance(key, str) for key in keys):
            raise WeightsError("the file's list of storages is damaged")
        if set(keys) != set(self.claims):
            raise WeightsError("the file's list of storages is damaged")
        for key in keys:
            dtype, count = self.claims[key]
            self.file.seek(start)
            if self.file.read(8) != struct.pack("<q", count):
                raise WeightsError("a storage of the file is not where it should be")
            self.places[key] = start + 8
            start += 8 + count * dtype.itemsize
            if start > end:
                raise WeightsError("the file ends before its storages do")

    def load(self, key, start, count):
        """Reads a part of a storage."""
        dtype, _ = self.claims[key]
        self.file.seek(self.places[key] + start * dtype.itemsize)
        content = self.file.read(count * dtype.itemsize)
        return np.frombuffer(content, dtype.newbyteorder("<"), count)


def read_legacy(file):
    """Returns what was saved in an open legacy file; tensors are `StoredArray`."""
    end = file.seek(0, os.SEEK_END)
    file.seek(0)
    # `read` allocates what it is asked for, whatever is there.
    stream = io.BytesIO(file.read(min(LARGEST_PICKLE, end)))
    plain = PickleMachine({})
    magic, version, system = (plain.read(stream) for _ in range(3))
    if (magic, version) != (MAGIC, 1001):
        raise WeightsError("the file's version is unknown")
    if not isinstance(system, dict) or system.get("little_endian") is not True:
        raise WeightsError("the file's byte order is unknown")
    storages = LegacyStorages(file)
    content = PickleMachine(NAMES, storages.refer).read(stream)
    storages.locate(plain.read(stream), stream.tell(), end)
    return content
