"""Weights of a network by name, in one `.safetensors` file with a checksum."""

import contextlib
import errno

import numpy as np
from safetensors import SafetensorError, safe_open
from safetensors.numpy import save_file

from semivit_tf import checksum
from semivit_tf.contracts import (
    HasPooling,
    HasWeightNames,
    SaysNormalized,
    backbone_of,
)
from semivit_tf.whole_file import whole_path


class CheckpointError(ValueError):
    """A file of weights or state cannot be read or does not fit; one line says why."""


def weight_names(model):
    """Returns a dict of name to weight; the model's own name is not part of it."""
    backbone = backbone_of(model)
    given = backbone.weight_names() if isinstance(backbone, HasWeightNames) else {}
    names = {}
    for weight in model.weights:
        parts = given.get(id(weight), weight.path).split("/")
        name = "/".join(parts[1:] if parts[0] == model.name else parts)
        if name in names:
            raise ValueError(f"Two weights of {model.name} are named {name}")
        names[name] = weight
    return names


# The entry in a file's metadata that says what the last norm acted on.
NORMALIZED = "semivit_tf.normalized"
_NORMALIZED_BY = {"class_token": "tokens", "mean": "mean"}


def find_normalized(model):
    """Returns what the last norm of a network acts on, or None if nothing says it."""
    if isinstance(model, SaysNormalized):
        return model.normalized
    backbone = backbone_of(model)
    if isinstance(backbone, HasPooling):
        return _NORMALIZED_BY.get(backbone.pooling)
    return None


def save_weights(model, path, normalized=None):
    """Writes the weights of a network, and nothing else, to a `.safetensors` file.

    Args:
        model: A built network.
        path: File.
        normalized: `"tokens"` or `"mean"`: what the last norm acted on, where neither
            the model's `normalized` nor the backbone's `pooling` says it.
    """
    normalized = normalized or find_normalized(model)
    metadata = {NORMALIZED: normalized} if normalized else {}
    arrays = {name: weight.numpy() for name, weight in weight_names(model).items()}
    write_arrays(path, arrays, metadata)


def load_weights(model, path, skip=()):
    """Loads what `save_weights` wrote; all names and shapes should match.

    Args:
        model: A built network.
        path: File.
        skip: Prefixes of names that are left alone, in the file and in the model.
    """
    arrays, _ = read_arrays(path)
    wanted = {n: w for n, w in weight_names(model).items() if not n.startswith(skip)}
    arrays = {n: array for n, array in arrays.items() if not n.startswith(skip)}
    check_fit(wanted, arrays, path)
    for name, variable in wanted.items():
        variable.assign(arrays[name])


def read_arrays(path):
    """Returns the arrays of a `.safetensors` file by name, and its metadata."""
    with _opened(path) as file:
        arrays = {name: file.get_tensor(name) for name in file.keys()}
        return arrays, file.metadata() or {}


def read_metadata(path):
    """Returns the dict of strings that `write_arrays` was given."""
    with _opened(path) as file:
        return file.metadata() or {}


@contextlib.contextmanager
def _opened(path):
    try:
        checksum.check(path)
        with safe_open(path, framework="numpy") as file:
            yield file
    except (SafetensorError, checksum.ChecksumError, OSError) as error:
        raise CheckpointError(
            f"{path} cannot be read as safetensors: {error}"
        ) from error


def write_arrays(path, arrays, metadata=None):
    """Writes arrays by name, and a dict of strings, as a `.safetensors` file."""
    arrays = {name: np.array(array, order="C") for name, array in arrays.items()}
    metadata = {**(metadata or {}), checksum.ENTRY: checksum.ABSENT}
    with whole_path(path) as aside:
        try:
            save_file(arrays, aside, metadata=metadata)
            checksum.seal(aside)
        except SafetensorError as error:
            raise OSError(
                errno.EIO, f"cannot be written ({error})", str(path)
            ) from error


def check_fit(variables, arrays, path):
    """Refuses arrays that are not those of the variables, by name and shape."""
    missing = sorted(set(variables) - set(arrays))
    unexpected = sorted(set(arrays) - set(variables))
    if missing or unexpected:
        raise CheckpointError(
            f"{path} does not fit the model: {len(missing)} weights missing "
            f"(such as {missing[:1]}), {len(unexpected)} unexpected ({unexpected[:1]})"
        )
    for name, variable in variables.items():
        if tuple(variable.shape) != arrays[name].shape:
            raise CheckpointError(
                f"{path}: {name} should have shape {tuple(variable.shape)}. "
                f"Received: {arrays[name].shape}"
            )
