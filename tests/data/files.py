"""Small data sets in the formats that people have."""

import gzip
import io
import struct
import zlib

import numpy as np
import tensorflow as tf
from PIL import Image

from semivit_tf.data.encoded_source import EncodedSource


def picture(number, size=(40, 48)):
    """Returns a smooth picture that differs from every other: uint8 `[H, W, 3]`."""
    generator = np.random.default_rng(number)
    coarse = Image.fromarray(generator.integers(0, 256, (4, 5, 3)).astype("uint8"))
    return np.asarray(coarse.resize(size[::-1], Image.Resampling.BICUBIC))


def write_picture(path, number, size=(40, 48)):
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(picture(number, size)).save(path, quality=95)


def write_folder(root, per_class=6, unlabeled=10, test=4, validation=0):
    """Writes class folders `cat` and `dog`, files of different sizes and formats."""
    number = 0
    for part, count in (("train", per_class), ("val", validation), ("test", test)):
        for kind in ("cat", "dog"):
            for place in range(count):
                suffix = (".jpg", ".png", ".JPEG")[place % 3]
                size = (32 + 8 * (place % 2), 48)
                write_picture(root / part / kind / f"{place}{suffix}", number, size)
                number += 1
    for place in range(unlabeled):
        write_picture(root / "unlabeled" / f"loose {place}.jpg", number)
        number += 1
    return root


def write_idx(path, array):
    """Writes an IDX file, compressed if it ends in `.gz`."""
    header = struct.pack(">BBBB", 0, 0, 8, array.ndim)
    header += struct.pack(f">{array.ndim}I", *array.shape)
    content = header + array.astype("uint8").tobytes()
    path.write_bytes(gzip.compress(content) if path.suffix == ".gz" else content)


def write_mnist_like(root, count=60, test=20):
    """Writes the four files of the MNIST family; returns their arrays."""
    root.mkdir(parents=True, exist_ok=True)
    generator = np.random.default_rng(0)
    arrays = {}
    for part, number, suffix in (("train", count, ".gz"), ("t10k", test, "")):
        images = generator.integers(0, 256, (number, 9, 8)).astype("uint8")
        labels = (np.arange(number) % 3).astype("uint8")
        write_idx(root / f"{part}-images-idx3-ubyte{suffix}", images)
        write_idx(root / f"{part}-labels-idx1-ubyte{suffix}", labels)
        arrays[part] = images, labels
    return arrays


def leaves(batch):
    """Returns the arrays of a batch, in a fixed order."""
    return [np.asarray(leaf) for leaf in tf.nest.flatten(batch)]


class BytesSource(EncodedSource):
    """Encoded images in memory."""

    def __init__(self, contents, labels):
        super().__init__(labels, ["a", "b"])
        self._contents = tf.constant(contents)

    def name(self, index):
        return str(index)

    def contents(self, index):
        return self._contents[index]


def encoded(image, kind, **options):
    """Returns the contents of a file."""
    file = io.BytesIO()
    Image.fromarray(image).save(file, kind, **options)
    return file.getvalue()


def huge_png(height=23000, width=23000):
    """Returns a PNG of a few bytes whose header declares a large image."""

    def chunk(kind, data):
        check = struct.pack(">I", zlib.crc32(kind + data))
        return struct.pack(">I", len(data)) + kind + data + check

    header = struct.pack(">IIBBBBB", width, height, 8, 0, 0, 0, 0)
    row = zlib.compress(bytes(width + 1))
    start = b"\x89PNG\r\n\x1a\n"
    return start + chunk(b"IHDR", header) + chunk(b"IDAT", row) + chunk(b"IEND", b"")
