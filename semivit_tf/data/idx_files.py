"""IDX files, as of the MNIST family: `<part>-images-idx3-ubyte`, or `.gz`."""

import gzip
import math
import pathlib
import struct
import zlib

import numpy as np

from semivit_tf.data.array_source import ArraySource
from semivit_tf.data.parts import Parts


def read_idx(path):
    """Returns the uint8 array in an IDX file."""
    try:
        opened = gzip.open(path) if path.suffix == ".gz" else path.open("rb")
        with opened as file:
            content = file.read()
    except (EOFError, gzip.BadGzipFile, zlib.error) as error:
        raise ValueError(f"{path} is broken: {error}") from error
    if len(content) < 4 or content[:3] != b"\x00\x00\x08":
        raise ValueError(
            f"{path} should be an IDX file of bytes. Received: another format"
        )
    axes = content[3]
    shape = (
        struct.unpack_from(f">{axes}I", content, 4)
        if len(content) >= 4 + 4 * axes
        else ()
    )
    body = content[4 + 4 * axes :]
    if not shape or len(body) != math.prod(shape):
        raise ValueError(
            f"{path} should hold an array of shape {shape}. Received: {len(body)} bytes"
        )
    return np.frombuffer(body, np.uint8).reshape(shape)


def load_idx(data_dir, class_names=None):
    """Returns the `Parts` of a folder of `train-` and `t10k-` files."""
    if data_dir is None or not pathlib.Path(data_dir).is_dir():
        raise ValueError(
            f"`data_dir` should be a folder of IDX files. Received: {data_dir!r}"
        )

    def read(name):
        for suffix in ("", ".gz"):
            path = pathlib.Path(data_dir) / (name + suffix)
            if path.is_file():
                return read_idx(path)
        raise ValueError(f"{data_dir} should have the file {name} or {name}.gz")

    arrays = {
        part: (read(f"{part}-images-idx3-ubyte"), read(f"{part}-labels-idx1-ubyte"))
        for part in ("train", "t10k")
    }
    if class_names is None:
        highest = max(int(labels.max(initial=0)) for _, labels in arrays.values())
        class_names = [str(number) for number in range(highest + 1)]
    sources = [
        ArraySource(images[..., None], labels, class_names)
        for images, labels in arrays.values()
    ]
    return Parts(*sources)
