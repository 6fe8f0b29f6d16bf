"""How is the state of a run kept, so that a stopped run goes on where it was?

A checkpoint is one `.safetensors` file: all variables of the model (student, teacher,
random states) and of the optimizer (its step counter too), with epoch and step as
metadata. Data streams start at any step, so the step is the data position. No file runs
code when it is read.
"""

import json
import pathlib
import time

import keras
import numpy as np
from safetensors import SafetensorError, safe_open
from safetensors.numpy import save_file

from semivit_tf.whole_file import whole_path


class CheckpointError(ValueError):
    """A file of weights or state cannot be read or does not fit; one line says why."""


def weight_names(model):
    """Returns a dict of name to weight; the model's own name is not part of it.

    A backbone whose paths are not the same in every instance has `weight_names()`.
    """
    given = getattr(getattr(model, "backbone", model), "weight_names", dict)()
    names = {}
    for weight in model.weights:
        parts = given.get(id(weight), weight.path).split("/")
        name = "/".join(parts[1:] if parts[0] == model.name else parts)
        if name in names:
            raise ValueError(f"Two weights of {model.name} are named {name}")
        names[name] = weight
    return names


def save_weights(model, path):
    """Writes the weights of a network, and nothing else, to a `.safetensors` file."""
    _write(path, weight_names(model), {})


def load_weights(model, path, skip=()):
    """Loads what `save_weights` wrote; every weight has to be there and to fit.

    Args:
        model: A built network.
        path: File.
        skip: Prefixes of names that are neither loaded nor missed.
    """
    arrays, _ = read_arrays(path)
    wanted = {n: w for n, w in weight_names(model).items() if not n.startswith(skip)}
    arrays = {n: array for n, array in arrays.items() if not n.startswith(skip)}
    _assign(wanted, arrays, path)


def read_arrays(path):
    """Returns the arrays of a `.safetensors` file by name, and its metadata."""
    try:
        with safe_open(path, framework="numpy") as file:
            arrays = {name: file.get_tensor(name) for name in file.keys()}
            return arrays, file.metadata() or {}
    except (SafetensorError, OSError) as error:
        raise CheckpointError(
            f"{path} cannot be read as safetensors: {error}"
        ) from error


def _write(path, variables, metadata):
    arrays = {
        name: np.array(variable.numpy(), order="C")
        for name, variable in variables.items()
    }
    with whole_path(path) as aside:
        save_file(arrays, aside, metadata=metadata)


def _assign(variables, arrays, path):
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
        variable.assign(arrays[name])


class Checkpoints:
    """The checkpoints of one stage.

    Args:
        folder: Path.
        keep: Integer. How many of the latest are kept.
    """

    def __init__(self, folder, keep=2):
        self.folder = pathlib.Path(folder)
        self.keep = keep

    def paths(self):
        """Returns the checkpoints' files, the oldest first."""
        return sorted(self.folder.glob("step-*.safetensors"))

    def save(self, model, epoch):
        """Writes the state after `epoch` epochs and forgets the oldest."""
        step = int(model.optimizer.iterations.numpy())
        metadata = {"position": json.dumps({"epoch": epoch, "step": step})}
        path = self.folder / f"step-{step:010d}.safetensors"
        _write(path, _state(model), metadata)
        for old in self.paths()[: -self.keep]:
            old.unlink()

    def restore(self, model):
        """Loads the latest state; returns its epoch and step, or zeros."""
        paths = self.paths()
        if not paths:
            return 0, 0
        arrays, metadata = read_arrays(paths[-1])
        _assign(_state(model), arrays, paths[-1])
        position = json.loads(metadata["position"])
        return position["epoch"], position["step"]


def _state(model):
    # By number: Keras counts unnamed objects up, so paths differ from run to run.
    groups = {"model": model.variables, "optimizer": model.optimizer.variables}
    return {
        f"{group}/{number:05d}/{variable.name}": variable
        for group, variables in groups.items()
        for number, variable in enumerate(variables)
    }


class SaveCheckpoints(keras.callbacks.Callback):
    """Saves at the ends of epochs, no more often than asked, and at the last one.

    Args:
        checkpoints: `Checkpoints`.
        epochs: Integer. The number of the last epoch.
        seconds: Float. The time between two checkpoints.
    """

    def __init__(self, checkpoints, epochs, seconds):
        super().__init__()
        self.checkpoints = checkpoints
        self.epochs = epochs
        self.seconds = seconds
        self._last = time.monotonic()

    def on_epoch_end(self, epoch, logs=None):
        done = epoch + 1
        if done == self.epochs or time.monotonic() - self._last >= self.seconds:
            self.checkpoints.save(self.model, done)
            self._last = time.monotonic()
