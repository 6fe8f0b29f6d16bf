"""Reasons why a file cannot be used as an image, for the person who has the file."""

import re

import numpy as np
import tensorflow as tf

# What TensorFlow decodes, and what else is found in image folders: name, offset, bytes.
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


def why_unread(error):
    """Returns why a file could not be read, in one line."""
    # TensorFlow reports an error in a Python function with its whole traceback.
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


def why_not_decoded(contents):
    """Returns why bytes could not be decoded, in one line."""
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
    """Returns whether the end of a file is missing, where its format tells."""
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


def has_color_table(contents):
    """Returns whether bytes are an 8-bit BMP whose values are not grey levels."""
    if not contents.startswith(b"BM") or _bits(contents) != 8:
        return False
    start = 14 + int.from_bytes(contents[14:18], "little")
    count = int.from_bytes(contents[46:50], "little") or 256
    table = np.frombuffer(contents[start : start + 4 * count], "uint8")
    table = table[: len(table) // 4 * 4].reshape(-1, 4)[:, :3]
    return not (table == np.arange(len(table))[:, None]).all()


def jpeg_orientation(contents):
    """Returns the EXIF orientation of a JPEG, 1 to 8; 1 is upright.

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
