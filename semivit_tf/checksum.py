"""The checksum in a `.safetensors` file: whether its bytes are those that were written.

An entry of the file's metadata, the SHA-256 of all other bytes. Files of other programs
have none.
"""

import hashlib
import json
import pathlib
import re

ENTRY = "semivit_tf.sha256"
ABSENT = "0" * 64  # what the entry holds while the sum is made
_PLACE = re.compile(b'"' + re.escape(ENTRY.encode()) + b'":"([^"]*)"')


class ChecksumError(ValueError):
    """The bytes of a file are not those that were written."""


def seal(path):
    """Writes the checksum into a file that has the metadata `{ENTRY: ABSENT}`.

    The metadata are sorted: safetensors writes them in random order, and equal content
    should give equal files.
    """
    with open(path, "r+b") as file:
        before = _read_header(file)
        content = json.loads(before)
        content["__metadata__"] = dict(sorted(content["__metadata__"].items()))
        header = json.dumps(content, separators=(",", ":"), ensure_ascii=False)
        header = header.encode().ljust(len(before))
        file.seek(8)
        file.write(header)
        digest = _digest(file, header)
        file.seek(8 + _PLACE.search(header).start(1))
        file.write(digest.encode())


def check(path):
    """Raises a `ChecksumError` if a file has a checksum that does not fit."""
    with open(path, "rb") as file:
        header = _read_header(file)
        found = _PLACE.search(header)
        if found is None:
            return
        start, end = found.span(1)
        digest = _digest(file, header[:start] + ABSENT.encode() + header[end:])
    if found[1] != digest.encode():
        raise ChecksumError("its bytes have changed since it was written (SHA-256)")


def digest_of(path):
    """Returns the SHA-256 of a file as hexadecimal digits."""
    with open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def digest_of_folder(path):
    """Returns the SHA-256 of the names and contents of all files in a folder."""
    files = [file for file in pathlib.Path(path).rglob("*") if file.is_file()]
    listed = sorted((str(file.relative_to(path)), digest_of(file)) for file in files)
    return hashlib.sha256(json.dumps(listed).encode()).hexdigest()


def _read_header(file):
    size = int.from_bytes(file.read(8), "little")
    rest = file.seek(0, 2) - 8
    file.seek(8)
    return file.read(min(size, rest)) if rest > 0 else b""


def _digest(file, header):
    """Returns the digest of a header and of what follows in the file."""
    started = hashlib.sha256(len(header).to_bytes(8, "little") + header)
    file.seek(8 + len(header))
    return hashlib.file_digest(file, lambda: started).hexdigest()
