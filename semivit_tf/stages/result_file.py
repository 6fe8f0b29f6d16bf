"""Results that a run reads again: JSON files with a checksum of their own."""

import hashlib
import json
import pathlib

from semivit_tf.config.settings import InputError
from semivit_tf.whole_file import open_whole

_SUM = "sha256"


class DamagedResultError(InputError):
    """A file does not hold what was written to it."""


def write_result(path, content):
    """Writes a dict as JSON, with a checksum as its last entry."""
    with open_whole(path) as file:
        json.dump({**content, _SUM: _sum(content)}, file, indent=2)


def read_result(path):
    """Returns the dict that `write_result` wrote, or None if there is no file."""
    path = pathlib.Path(path)
    if not path.exists():
        return None
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
        whole = isinstance(content, dict) and content.pop(_SUM, "") == _sum(content)
    except (RecursionError, ValueError):
        whole = False
    if not whole:
        raise DamagedResultError(f"{path} is not as it was written")
    return content


def _sum(content):
    return hashlib.sha256(json.dumps(content).encode()).hexdigest()
