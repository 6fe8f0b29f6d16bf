"""One pass over a set of images: which cannot be used, and what is known of the others.

`scan` reads and decodes every image once and keeps 221 bytes of it: its height and
width, why it cannot be used if so, a digest of its pixels, the fingerprint of
`duplicates.py`, and its EXIF orientation, which training ignores. One thread scans
about 340 JPEGs of 500 x 375 pixels a second, two threads 570.
"""

import concurrent.futures
import dataclasses
import hashlib
import math
import os

import numpy as np
import tensorflow as tf

from semivit_tf.augment.image_header import MAX_PIXELS
from semivit_tf.data.array_source import ArraySource
from semivit_tf.data.duplicates import (
    FINGERPRINT_SIZE,
    THUMBNAIL_SHAPE,
    make_fingerprints,
    make_thumbnails,
)
from semivit_tf.data.image_faults import jpeg_orientation
from semivit_tf.data.npz_arrays import read_npz_arrays
from semivit_tf.data.read_image import read_image, reader_of
from semivit_tf.whole_file import whole_path

DIGEST_SIZE = 16
_FORMAT = "semivit_tf image scan 2"
_CHUNK_IMAGES, _CHUNK_BYTES = 64, 2**22
# The arrays of a scan of N images: their types, and their shapes after N.
_ARRAYS = {
    "heights": ("int32", ()),
    "widths": ("int32", ()),
    "orientations": ("uint8", ()),
    "digests": ("uint8", (DIGEST_SIZE,)),
    "fingerprints": ("float16", (FINGERPRINT_SIZE,)),
    "reason_numbers": ("int32", ()),
}


@dataclasses.dataclass(frozen=True)
class ImageScan:
    """What is known of N images. Those that cannot be used have height 0.

    Args:
        identity: uint8 array `[16]`, a digest of the names, or of pixels in memory.
        heights: int32 array `[N]`.
        widths: int32 array `[N]`.
        orientations: uint8 array `[N]`. As of EXIF; 1 is upright or unknown.
        digests: uint8 array `[N, 16]`, equal for equal pixels.
        fingerprints: float16 array `[N, 96]`.
        reason_numbers: int32 array `[N]` of positions in `reasons`.
        reasons: Sequence of strings, the first of which is empty.
        max_pixels: Integer. Images of more pixels were not decoded.
    """

    identity: np.ndarray
    heights: np.ndarray
    widths: np.ndarray
    orientations: np.ndarray
    digests: np.ndarray
    fingerprints: np.ndarray
    reason_numbers: np.ndarray
    reasons: tuple
    max_pixels: int = MAX_PIXELS

    def __len__(self):
        return len(self.heights)

    @property
    def readable(self):
        """Which images can be used, bool array `[N]`."""
        return self.reason_numbers == 0

    def reason(self, index):
        """Returns in one line why an image cannot be used, or an empty string."""
        return self.reasons[self.reason_numbers[index]]

    def save(self, path):
        """Writes the scan to a file."""
        with whole_path(path) as aside, open(aside, "wb") as file:
            np.savez(file, format=np.array(_FORMAT), **vars(self))

    @classmethod
    def load(cls, path, source=None):
        """Reads what `save` wrote.

        Args:
            path: Path.
            source: Optional source that the scan should be of, by the number and the
                names of its images. Changed contents of files are not noticed.

        Raises:
            ValueError: If the file is not a scan, or one of other images.
        """
        try:
            scan = _understood(read_npz_arrays(path))
        except (KeyError, TypeError, ValueError) as error:
            raise ValueError(
                f"`path` should be a file that `ImageScan.save` wrote. Received: {path}"
            ) from error
        if source is not None:
            if len(scan) != len(source):
                raise ValueError(
                    f"{path} should hold a scan of these {len(source)} images. "
                    f"Received: a scan of {len(scan)} images"
                )
            if not np.array_equal(scan.identity, source_identity(source)):
                raise ValueError(
                    f"{path} should hold a scan of these {len(source)} images. "
                    "Received: a scan of other images"
                )
        return scan


def _understood(arrays):
    """Returns the `ImageScan` in the arrays of a file.

    Raises:
        KeyError, TypeError, ValueError: If they are not those of a scan.
    """
    if arrays.pop("format") != _FORMAT:
        raise ValueError("another format")
    limit, reasons = int(arrays.pop("max_pixels")), tuple(arrays.pop("reasons"))
    scan = ImageScan(**arrays, reasons=tuple(map(str, reasons)), max_pixels=limit)
    for name, (kind, shape) in _ARRAYS.items():
        array = arrays[name]
        if array.dtype != kind or array.shape != (len(scan), *shape):
            raise ValueError(f"{name} is {array.dtype} {array.shape}")
    numbers, upright = scan.reason_numbers, scan.orientations
    if len(scan) and not 0 <= numbers.min() <= numbers.max() < len(reasons):
        raise ValueError("a reason is missing")
    if len(scan) and not 1 <= upright.min() <= upright.max() <= 8:
        raise ValueError("an orientation is none")
    return scan


def scan(source, progress=None, threads=None, max_pixels=MAX_PIXELS):
    """Reads and decodes every image of a source once.

    Args:
        source: `EncodedSource` or `ArraySource`.
        progress: Optional function `(done, total)`, called after each chunk.
        threads: Optional integer; defaults to the number of CPUs.
        max_pixels: Integer. Larger images are not decoded, and cannot be used.

    Returns:
        An `ImageScan`.
    """
    if threads is not None and threads < 1:
        raise ValueError(f"`threads` should be at least 1. Received: {threads}")
    count = len(source)
    found = ImageScan(
        identity=source_identity(source),
        heights=np.zeros(count, "int32"),
        widths=np.zeros(count, "int32"),
        orientations=np.ones(count, "uint8"),
        digests=np.zeros((count, DIGEST_SIZE), "uint8"),
        fingerprints=np.zeros((count, FINGERPRINT_SIZE), "float16"),
        reason_numbers=np.zeros(count, "int32"),
        reasons=(),
        max_pixels=max_pixels,
    )
    in_memory = isinstance(source, ArraySource)
    look, size = (_look_at_arrays if in_memory else _look_at_files)(source, found)
    chunks = [range(i, min(i + size, count)) for i in range(0, count, size)]
    numbers = {"": 0}
    pool = concurrent.futures.ThreadPoolExecutor(threads or os.cpu_count() or 1)
    try:
        for chunk, reasons in zip(chunks, pool.map(look, chunks), strict=True):
            for index, reason in zip(chunk, reasons, strict=True):
                number = numbers.setdefault(reason, len(numbers))
                found.reason_numbers[index] = number
            if progress is not None:
                progress(chunk.stop, count)
    finally:
        pool.shutdown(cancel_futures=True)
    return dataclasses.replace(found, reasons=tuple(numbers))


def source_identity(source):
    """Returns a digest of the images' names, or of pixels in memory: uint8 `[16]`."""
    digest = hashlib.blake2b(digest_size=DIGEST_SIZE)
    if isinstance(source, ArraySource):
        digest.update(repr(source.images.shape).encode())
        digest.update(np.ascontiguousarray(source.images))
    else:
        for name in source.names():
            digest.update(name.encode("utf-8", "surrogateescape") + b"\0")
    return np.frombuffer(digest.digest(), "uint8")


def _look_at_arrays(source, found):
    """Returns `(look, size)`: a function of a range of indices, and its largest length.

    `look` fills `found` and returns why each image cannot be used, or "".
    """
    if source.image_shape[-1] not in (1, 3):
        raise ValueError(
            f"Images should have 1 or 3 channels. Received: {source.image_shape[-1]}"
        )

    def look(chunk):
        part = slice(chunk.start, chunk.stop)
        images = source.images[part]
        found.heights[part], found.widths[part] = images.shape[1:3]
        found.fingerprints[part] = make_fingerprints(make_thumbnails(images))
        for index in chunk:
            found.digests[index] = _pixel_digest(source.images[index])
        return [""] * len(chunk)

    return look, max(1, _CHUNK_BYTES // max(1, math.prod(source.image_shape)))


def _look_at_files(source, found):
    """Does for encoded images what `_look_at_arrays` does for arrays."""
    read = reader_of(source)

    def look_at_one(index, thumbnail):
        image, contents, reason = read_image(read, index, found.max_pixels)
        if reason:
            return reason
        pixels = np.asarray(memoryview(image))  # `numpy()` would copy them
        found.heights[index], found.widths[index] = pixels.shape[:2]
        found.orientations[index] = jpeg_orientation(contents)
        thumbnail[...] = make_thumbnails(tf.expand_dims(image, 0))[0]
        found.digests[index] = _pixel_digest(pixels)
        return ""

    def look(chunk):
        # The thumbnail and fingerprint of an unreadable image stay zero.
        small = np.zeros((len(chunk), *THUMBNAIL_SHAPE), "float32")
        reasons = [look_at_one(*pair) for pair in zip(chunk, small, strict=True)]
        found.fingerprints[chunk.start : chunk.stop] = make_fingerprints(small)
        return reasons

    return look, _CHUNK_IMAGES


def _pixel_digest(pixels):
    digest = hashlib.blake2b(np.ascontiguousarray(pixels), digest_size=DIGEST_SIZE)
    digest.update(repr(pixels.shape).encode())
    return np.frombuffer(digest.digest(), "uint8")
