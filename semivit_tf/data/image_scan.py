"""What is wrong with a set of images, and what is known of each after one look at it?

`scan` reads and decodes every image once. An image of any size leaves 221 bytes: its
height and width, why it cannot be used if it cannot, a digest of its pixels, the
fingerprint of `duplicates.py`, and how a viewer would turn it (EXIF orientation), which
nobody does in training. Of JPEGs of 500 x 375 pixels one thread looks at about 340 a
second, two at 570.
"""

import concurrent.futures
import dataclasses
import hashlib
import math
import os
import re
import zipfile

import numpy as np
import tensorflow as tf

from semivit_tf.augment.decoding import decode
from semivit_tf.data.array_source import ArraySource
from semivit_tf.data.duplicates import (
    FINGERPRINT_SIZE,
    THUMBNAIL_SHAPE,
    make_fingerprints,
    make_thumbnails,
)
from semivit_tf.whole_file import whole_path

DIGEST_SIZE = 16
_FORMAT = "semivit_tf image scan 1"
_CHUNK_IMAGES, _CHUNK_BYTES = 64, 2**22
_NO_SCAN = AttributeError, EOFError, KeyError, TypeError, ValueError, zipfile.BadZipFile


@dataclasses.dataclass(frozen=True)
class ImageScan:
    """What is known of N images. Those that cannot be used have height 0.

    Args:
        identity: uint8 array `[16]`, made of the names, or of the pixels in memory.
        heights: int32 array `[N]`.
        widths: int32 array `[N]`.
        orientations: uint8 array `[N]`. EXIF, 1 where the image is upright or silent.
        digests: uint8 array `[N, 16]`, equal where pixels are.
        fingerprints: float16 array `[N, 96]`.
        reason_numbers: int32 array `[N]` of positions in `reasons`.
        reasons: Sequence of strings, the first of which is empty.
    """

    identity: np.ndarray
    heights: np.ndarray
    widths: np.ndarray
    orientations: np.ndarray
    digests: np.ndarray
    fingerprints: np.ndarray
    reason_numbers: np.ndarray
    reasons: tuple

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
            source: Optional source that the scan should be of: as many images of the
                same names. What files hold may have changed all the same.

        Raises:
            ValueError: Where the file is something else, or a scan of something else.
        """
        try:
            with np.load(path, allow_pickle=False) as arrays:
                fields = dict(arrays)
            if fields.pop("format") != _FORMAT:
                raise KeyError("format")
            reasons = tuple(fields.pop("reasons").tolist())
            scan = cls(**fields, reasons=reasons)
        except _NO_SCAN as error:
            raise ValueError(
                f"`path` should be a file that `ImageScan.save` wrote. Received: {path}"
            ) from error
        if source is not None:
            if len(scan) != len(source):
                raise ValueError(
                    f"{path} should hold a scan of these {len(source)} images. "
                    f"Received: a scan of {len(scan)} images"
                )
            if not np.array_equal(scan.identity, _identity(source)):
                raise ValueError(
                    f"{path} should hold a scan of these {len(source)} images. "
                    "Received: a scan of as many others"
                )
        return scan


def scan(source, progress=None, threads=None):
    """Reads and decodes every image of a source once.

    Args:
        source: `EncodedSource` or `ArraySource`.
        progress: Optional function `(done, total)`, called now and then.
        threads: Optional integer; defaults to the number of processors.

    Returns:
        An `ImageScan`.
    """
    if threads is not None and threads < 1:
        raise ValueError(f"`threads` should be at least 1. Received: {threads}")
    count = len(source)
    found = ImageScan(
        identity=_identity(source),
        heights=np.zeros(count, "int32"),
        widths=np.zeros(count, "int32"),
        orientations=np.ones(count, "uint8"),
        digests=np.zeros((count, DIGEST_SIZE), "uint8"),
        fingerprints=np.zeros((count, FINGERPRINT_SIZE), "float16"),
        reason_numbers=np.zeros(count, "int32"),
        reasons=(),
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


def _identity(source):
    digest = hashlib.blake2b(digest_size=DIGEST_SIZE)
    if isinstance(source, ArraySource):
        digest.update(repr(source.images.shape).encode())
        digest.update(np.ascontiguousarray(source.images))
    else:
        for name in source.names():
            digest.update(name.encode("utf-8", "surrogateescape") + b"\0")
    return np.frombuffer(digest.digest(), "uint8")


def _look_at_arrays(source, found):
    """Returns `(look, size)`: what fills `found` for a range, and how long that may be.

    `look` returns the reasons why images cannot be used.
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
    """Returns the same as `_look_at_arrays`, of encoded images."""
    read = tf.function(source.contents).get_concrete_function(
        tf.TensorSpec((), tf.int64)
    )

    def look_at_one(index, thumbnail):
        try:
            contents = read(tf.constant(index, tf.int64))
        except (tf.errors.OpError, OSError) as error:
            return _why_unread(error)
        known = contents.numpy()
        try:
            image = decode(contents)
        except (tf.errors.ResourceExhaustedError, MemoryError):
            return "too large for the memory"
        except tf.errors.OpError:
            return _why_not_decoded(known)
        if _has_color_table(known):
            return "BMP with a colour table, of which TensorFlow shows the numbers"
        pixels = np.asarray(memoryview(image))  # `numpy()` would copy them
        found.heights[index], found.widths[index] = pixels.shape[:2]
        found.orientations[index] = jpeg_orientation(known)
        thumbnail[...] = make_thumbnails(tf.expand_dims(image, 0))[0]
        found.digests[index] = _pixel_digest(pixels)
        return ""

    def look(chunk):
        # Of what cannot be read, thumbnail and fingerprint stay zero.
        small = np.zeros((len(chunk), *THUMBNAIL_SHAPE), "float32")
        reasons = [look_at_one(*pair) for pair in zip(chunk, small, strict=True)]
        found.fingerprints[chunk.start : chunk.stop] = make_fingerprints(small)
        return reasons

    return look, _CHUNK_IMAGES


def _pixel_digest(pixels):
    digest = hashlib.blake2b(np.ascontiguousarray(pixels), digest_size=DIGEST_SIZE)
    digest.update(repr(pixels.shape).encode())
    return np.frombuffer(digest.digest(), "uint8")


# === Why an image cannot be used ===

# What TensorFlow decodes, then what else is met in image folders: name, offset, bytes.
_DECODED = (
    ("JPEG", 0, b"\xff\xd8\xff"),
    ("PNG", 0, b"\x89PNG"),
    ("GIF", 0, b"GIF8"),
    ("BMP", 0, b"BM"),
    ("WebP", 8, b"WEBP"),
    ("JPEG XL", 0, b"\xff\x0a"),
    ("JPEG XL", 4, b"JXL "),
)
_OTHER_IMAGES = (
    ("TIFF", 0, b"II*\0"),
    ("TIFF", 0, b"MM\0*"),
    ("AVIF", 4, b"ftypavif"),
    ("HEIC", 4, b"ftyphe"),
    ("HEIC", 4, b"ftypmif1"),
    ("JPEG 2000", 4, b"jP  "),
    ("ICO", 0, b"\0\0\1\0"),
    ("PSD", 0, b"8BPS"),
    ("SVG", 0, b"<svg"),
    ("DICOM", 128, b"DICM"),
    *((f"P{digit} (PNM)", 0, f"P{digit}\n".encode()) for digit in range(1, 7)),
)
_NOT_IMAGES = (
    ("a Git LFS pointer: `git lfs pull` gets the file", 0, b"version https://git-lfs"),
    ("a file of macOS beside the image", 0, b"\0\x05\x16\x07"),
    ("a PDF", 0, b"%PDF"),
    ("a ZIP archive", 0, b"PK\3\4"),
    ("a gzip file", 0, b"\x1f\x8b"),
    ("a NumPy array", 0, b"\x93NUMPY"),
    ("a video (MP4)", 4, b"ftyp"),
    ("a web page (HTML)", 0, b"<!doctype html"),
    ("a web page (HTML)", 0, b"<html"),
)


def _kind(contents, table):
    start = contents[:256].lower()
    for name, offset, magic in table:
        if start.startswith(magic.lower(), offset):
            return name
    return None


def _why_unread(error):
    # TensorFlow tells errors of Python functions by their tracebacks.
    message = re.sub(r"\{\{.*?\}\} |\[\[.*|\[Op:.*", "", str(error))
    python = re.findall(r"^(?:\w+\.)*(\w+Error: .+)", message, re.MULTILINE)
    lines = python or [line.strip() for line in message.splitlines() if line.strip()]
    line = lines[-1] if lines else type(error).__name__
    if isinstance(error, (tf.errors.NotFoundError, FileNotFoundError)):
        return "file not found, or a broken link"
    if isinstance(error, (tf.errors.PermissionDeniedError, PermissionError)):
        return "no permission to read the file"
    if isinstance(error, IsADirectoryError) or line.endswith("Is a directory"):
        return "a folder, not a file"
    return f"cannot be read: {line[:200]}"


def _why_not_decoded(contents):
    if not contents:
        return "empty file"
    kind = _kind(contents, _DECODED)
    if kind == "BMP" and _bits(contents) not in (8, 24, 32):
        return f"{_bits(contents)}-bit BMP, which TensorFlow cannot decode"
    if kind is not None:
        return f"{'truncated' if _is_cut(kind, contents) else 'broken'} {kind}"
    kind = _kind(contents, _OTHER_IMAGES)
    if kind is not None:
        return f"{kind}, which TensorFlow cannot decode"
    kind = _kind(contents, _NOT_IMAGES)
    if kind is None and not contents.strip(b"\0"):
        kind = "nothing but zeros"
    elif kind is None and not re.search(rb"[\0-\x08\x0e-\x1a\x7f]", contents[:4096]):
        kind = "text"
    return f"not an image: {kind or 'unknown format'}"


def _is_cut(kind, contents):
    """Whether the end of a file is missing, as far as its format says where that is."""
    end = contents.rstrip(b"\0\r\n")
    if kind == "JPEG":
        return not end.endswith(b"\xff\xd9")
    if kind == "PNG":
        return b"IEND" not in contents[-64:]
    if kind == "GIF":
        return not end.endswith(b";")
    if kind == "BMP":
        return len(contents) < int.from_bytes(contents[2:6], "little")
    if kind == "WebP":
        return len(contents) < int.from_bytes(contents[4:8], "little") + 8
    return False


def _bits(contents):
    return int.from_bytes(contents[28:30], "little")


def _has_color_table(contents):
    """Whether it is a BMP of 8 bits whose numbers are not grey levels."""
    if not contents.startswith(b"BM") or _bits(contents) != 8:
        return False
    start = 14 + int.from_bytes(contents[14:18], "little")
    count = int.from_bytes(contents[46:50], "little") or 256
    table = np.frombuffer(contents[start : start + 4 * count], "uint8")
    table = table[: len(table) // 4 * 4].reshape(-1, 4)[:, :3]
    return not (table == np.arange(len(table))[:, None]).all()


def jpeg_orientation(contents):
    """Returns how a viewer turns a JPEG, 1 to 8 as EXIF counts; 1 is not at all.

    Args:
        contents: Bytes of a file; of another format the answer is 1.
    """
    position = 2 if contents.startswith(b"\xff\xd8") else len(contents)
    while contents[position : position + 1] == b"\xff":
        marker = contents[position + 1 : position + 2]
        length = int.from_bytes(contents[position + 2 : position + 4], "big")
        segment = contents[position + 4 : position + 2 + length]
        if marker == b"\xe1" and segment.startswith(b"Exif\0\0"):
            return _tiff_orientation(segment[6:])
        if marker in (b"\xda", b"\xd9", b"") or length < 2:
            break
        position += 2 + length
    return 1


def _tiff_orientation(header):
    order = "little" if header.startswith(b"II") else "big"

    def number(start, size):
        return int.from_bytes(header[start : start + size], order)

    directory = number(4, 4)
    for entry in range(number(directory, 2)):
        start = directory + 2 + 12 * entry
        if number(start, 2) == 0x0112:
            value = number(start + 8, 2)
            return value if 1 <= value <= 8 else 1
    return 1
