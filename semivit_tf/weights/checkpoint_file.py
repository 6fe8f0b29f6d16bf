"""The weights in a file of any known format, which its first bytes tell."""

import contextlib
import dataclasses
import json
import zipfile

from safetensors import safe_open

from semivit_tf import checksum
from semivit_tf.weights.npz_file import read_npz
from semivit_tf.weights.resizing import is_grid
from semivit_tf.weights.safetensors_file import read_safetensors
from semivit_tf.weights.stored_array import StoredArray
from semivit_tf.weights.torch_file import LEGACY_START, read_legacy, read_zip
from semivit_tf.weights.weights_error import WeightsError

# The keys under which training code saves networks, the best ones first.
NETWORKS = (
    "model_ema",
    "state_dict_ema",
    "ema",
    "teacher",
    "model",
    "state_dict",
    "student",
)
WHOLE = "the whole file"
# What our files say in their metadata: the rows and columns of the position table.
GRID = "semivit_tf.grid"
# And what the last norm acted on, as `save_weights` writes it.
NORMALIZED = "semivit_tf.normalized"


@dataclasses.dataclass(frozen=True)
class CheckpointFile:
    """An open file.

    Attributes:
        networks: Dict from a key of the file to a dict of name to `StoredArray`.
        grid: Tuple `(rows, columns)` of the position table, or None if unknown.
        normalized: `"tokens"` or `"mean"`, what the last norm acted on, or None if
            unknown.
    """

    networks: dict
    grid: tuple | None = None
    normalized: str | None = None


@contextlib.contextmanager
def open_checkpoint(path):
    """Opens a file of weights of any known kind as a `CheckpointFile`."""
    with open(path, "rb") as file:
        start = file.read(64)
        if start.startswith(LEGACY_START):
            yield CheckpointFile(find_networks(read_legacy(file)))
        elif start.startswith(b"PK"):
            with zipfile.ZipFile(file) as archive:
                names = archive.namelist()
                if any(name.endswith("data.pkl") for name in names):
                    content = read_zip(archive)
                elif any(name.endswith(".npy") for name in names):
                    content = read_npz(archive)
                else:
                    raise WeightsError(
                        "the zip archive should be of torch or numpy. Received: another"
                    )
                yield CheckpointFile(find_networks(content))
        elif start[8:9] == b"{":
            checksum.check(path)
            with safe_open(path, framework="numpy") as tensors:
                content = find_networks(read_safetensors(tensors))
                metadata = tensors.metadata() or {}
                normalized = metadata.get(NORMALIZED)
                yield CheckpointFile(content, _grid(metadata), normalized)
        else:
            raise WeightsError(
                "the file should start like one of torch, safetensors or numpy (.npz). "
                f"Received: {start[:8]!r}"
            )


def find_networks(content):
    """Returns the networks of a file by their keys, or the file as the only one."""
    if not isinstance(content, dict):
        raise WeightsError(
            "the file should hold a dict of names and weights. Received: no dict"
        )
    found = {key: _arrays(content[key]) for key in NETWORKS if key in content}
    found = {key: arrays for key, arrays in found.items() if arrays}
    found = found or {WHOLE: _arrays(content)}
    if not any(found.values()):
        raise WeightsError("the file holds no weights")
    return found


def _arrays(content):
    if not isinstance(content, dict):
        return {}
    return {
        name: value
        for name, value in content.items()
        if isinstance(name, str) and isinstance(value, StoredArray)
    }


def _grid(metadata):
    if GRID not in metadata:
        return None
    grid = json.loads(metadata[GRID])
    if not is_grid(grid):
        raise WeightsError(f"its {GRID} should be two positive integers")
    return tuple(grid)
