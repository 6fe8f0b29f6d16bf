"""Images and labels in the records of an ArrayRecord file.

Records are compressed one by one, so finding a label takes reading its record.
"""

import functools
import os

import numpy as np

from semivit_tf.data.example_proto import image_and_label

_OPEN_FILES = 512  # A process may usually open 1024; ImageNet has as many shards.


def scan(path, count, image, label):
    """Finds the images and labels of all records of a file.

    Args:
        path: String.
        count: Integer. How many records there should be.
        image: String. Name of the image feature.
        label: String. Name of the label feature.

    Returns:
        int64 array `[count, 3]` of image start (in its record), image size and label.
    """
    reader = _open_reader(path)
    if len(reader) != count:
        raise ValueError(
            f"{path} should have {count} records. Received: {len(reader)} records"
        )
    table = np.empty((count, 3), np.int64)
    for number in range(count):
        record = _record(path, reader, number)
        try:
            table[number] = image_and_label(
                lambda start, size, record=record: record[start : start + size],
                0,
                len(record),
                image,
                label,
            )
        except ValueError as error:
            raise ValueError(f"{path}, record {number}: {error}") from None
    return table


def read(path, position, start, size):
    """Reads the encoded image of a record.

    Args:
        path: String.
        position: Integer. Which record of the file.
        start: Integer from the table of `scan`.
        size: Integer, likewise.
    """
    return _record(path, _open_reader(path), position)[start : start + size]


def _open_reader(path):
    # The time is part of the cache's key, so a replaced file is opened again.
    return _reader(path, os.stat(path).st_mtime_ns)


def _record(path, reader, number):
    # What the library raises for bad files differs between its versions.
    try:
        return reader[number]
    except Exception as error:
        raise ValueError(f"{path} cannot be read: {error}") from None


# A reader that left the cache closes its file once no thread uses it any more.
@functools.lru_cache(_OPEN_FILES)
def _reader(path, version):
    del version
    try:
        from array_record.python.array_record_data_source import ArrayRecordDataSource
    except ImportError:
        raise ValueError(
            f"{path} needs a package to be read: pip install array_record"
        ) from None
    try:
        return ArrayRecordDataSource([path])
    except Exception as error:
        raise ValueError(f"{path} cannot be read: {error}") from None
