"""Images and labels in the records of a TFRecord file.

A TFRecord file is a chain: each record is its length (8 bytes, low first), a checksum
of the length (4), the data, and a checksum of the data (4). Skipping from length to
length finds all records, which the format has no index of. The checksums are not
verified.
"""

import os

import numpy as np

from semivit_tf.data.example_proto import image_and_label

_BEFORE, _AFTER = 12, 4
_PAGE = 4096


def scan(path, count, image, label):
    """Finds the images and labels of all records of a file, reading little else.

    Args:
        path: String.
        count: Integer. How many records there should be.
        image: String. Name of the image feature.
        label: String. Name of the label feature.

    Returns:
        int64 array `[count, 3]` of image start, image size and label.
    """
    table = np.empty((count, 3), np.int64)
    end, number, position = os.path.getsize(path), 0, 0
    with open(path, "rb", buffering=0) as file:
        read = _paged(file)
        while position < end:
            start = position + _BEFORE
            stop = start + int.from_bytes(read(position, 8), "little")
            if stop + _AFTER > end or number == count:
                break
            try:
                table[number] = image_and_label(read, start, stop, image, label)
            except ValueError as error:
                raise ValueError(f"{path}, record {number}: {error}") from None
            position, number = stop + _AFTER, number + 1
    if position != end or number != count:
        raise ValueError(
            f"{path} should be a TFRecord file of {count} whole records. "
            f"Received: {end} bytes, {number} whole records"
        )
    return table


def read(path, position, start, size):
    """Reads the encoded image of a record.

    Args:
        path: String.
        position: Integer. Not used: `start` counts from the beginning of the file.
        start: Integer from the table of `scan`.
        size: Integer, likewise.
    """
    del position
    with open(path, "rb", buffering=0) as file:
        file.seek(start)
        return file.read(size)


def _paged(file):
    """Returns `read(start, size)` of a file, which keeps the last page that it read."""
    page, page_start = b"", 0

    def read(start, size):
        nonlocal page, page_start
        offset = start - page_start
        if not 0 <= offset <= len(page) - size:
            file.seek(start)
            page, page_start, offset = file.read(max(size, _PAGE)), start, 0
        return page[offset : offset + size]

    return read
