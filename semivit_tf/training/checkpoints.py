"""The state of a run in files, from which a stopped run continues exactly.

A checkpoint is one `.safetensors` file: all variables of the model (student, teacher,
random states), of the optimizer (with its counter) and of the means over an epoch, and
epoch and step as metadata. Variables that differ between replicas are saved for each.
Data streams start at any step, so the step is the data position. Reading a file never
runs code.
"""

import dataclasses
import json
import pathlib
import sys

from semivit_tf.training.non_finite import check_finite
from semivit_tf.training.weight_files import (
    CheckpointError,
    check_fit,
    read_arrays,
    read_metadata,
    write_arrays,
)


@dataclasses.dataclass(frozen=True)
class Position:
    """Epochs completed, and steps done in all."""

    epoch: int = 0
    step: int = 0


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

    def save(self, model, position):
        """Writes the state at a position, if it is finite, and deletes the oldest."""
        path = self.folder / f"step-{position.step:010d}.safetensors"
        arrays = _finite_arrays(model, position, _variables(model))
        write_arrays(path, arrays, _metadata(position))
        # A later one could not be read, and training went on from an earlier one.
        up_to_this = [other for other in self.paths() if other <= path]
        for other in self.paths():
            if other not in up_to_this[-self.keep :]:
                other.unlink()

    def save_best(self, model, position, name, value):
        """Writes the model's weights if their value is the best so far.

        Where two epochs are equal, the earlier one stays.

        Args:
            model: A compiled method.
            position: `Position`.
            name: String. Whose best it is, such as `teacher`.
            value: Float, the higher the better.
        """
        path = self.folder / f"best-{name}.safetensors"
        if path.exists() and self._read_best(path)["value"] >= value:
            return
        arrays = _finite_arrays(model, position, _model_variables(model))
        write_arrays(path, arrays, _metadata(position, value=value))

    def load_best(self, model, name):
        """Loads the best weights into the model.

        Args:
            model: A compiled method.
            name: String. Whose best they are, see `save_best`.

        Returns:
            Dict of `epoch`, `step` and `value`, or None where there are none.
        """
        path = self.folder / f"best-{name}.safetensors"
        if not path.exists():
            return None
        arrays, metadata = read_arrays(path)
        # Those that were written before methods had parts hold running means besides.
        own = {name: arrays[name] for name in arrays if name.startswith("model/")}
        _assign(model, _model_variables(model), own, path)
        return _found(metadata, path, "value")

    def restore(self, model):
        """Loads the latest state; returns its `Position`, or that of the start.

        Files that cannot be read are named; those of the best weights, which nothing
        replaces, are refused.
        """
        for path in sorted(self.folder.glob("best-*.safetensors")):
            self._read_best(path)
        path, arrays, position = self._latest(say=sys.stderr.write)
        if path is None:
            return position
        _assign(model, _variables(model), arrays, path)
        return position

    def position(self):
        """Returns the `Position` of the latest state, or that of the start."""
        return self._latest()[2]

    def _read_best(self, path):
        """Returns what `load_best` does, of a file that is there."""
        try:
            return _found(read_metadata(path), path, "value")
        except CheckpointError as error:
            raise CheckpointError(
                f"{error}. Without it, the best of the epochs still to come is kept"
            ) from error

    def _latest(self, say=lambda text: None):
        """Returns the path, arrays and position of the latest file that can be read."""
        failure = None
        for path in reversed(self.paths()):
            try:
                arrays, metadata = read_arrays(path)
                found = _found(metadata, path)
            except CheckpointError as error:
                failure = failure or error
                continue
            if failure:
                say(f"{failure}. Used instead: {path.name}\n")
            return path, arrays, Position(found["epoch"], found["step"])
        if failure:
            raise CheckpointError(
                f"{failure}. Without the files in {self.folder} the stage starts over"
            )
        return None, {}, Position()


def _metadata(position, **more):
    # One entry: safetensors writes several in random order, and equal runs should
    # have equal files.
    return {"position": json.dumps({**dataclasses.asdict(position), **more})}


def _found(metadata, path, *more):
    """Returns the dict of `epoch`, `step` and more numbers in a file's metadata."""
    try:
        found = json.loads(metadata["position"])
        return {name: found[name] + 0 for name in ("epoch", "step", *more)}
    except (KeyError, TypeError, ValueError) as error:
        raise CheckpointError(f"{path} does not say how far it is") from error


def _variables(model):
    return {
        **_model_variables(model),
        **_named(
            optimizer=model.optimizer.variables,
            means=[v for metric in model.running_means for v in metric.variables],
        ),
    }


def _model_variables(model):
    return _named(model=model.variables)


def _named(**groups):
    # By number: Keras counts unnamed layers in a process, so paths differ between runs.
    return {
        f"{group}/{number:05d}/{variable.name}": variable
        for group, variables in groups.items()
        for number, variable in enumerate(variables)
    }


def _copies(model, variable):
    """Returns the variables of this machine's replicas."""
    return model.distribute_strategy.experimental_local_results(variable.value)


def _assign(model, variables, arrays, path):
    """Assigns arrays to the variables of their names, to each replica its own."""
    # There may be more or fewer replicas than before: a new one gets the first's.
    first = {name: array for name, array in arrays.items() if "@" not in name}
    check_fit(variables, first, path)
    for name, variable in variables.items():
        for number, copy in enumerate(_copies(model, variable)):
            copy.assign(arrays.get(f"{name}@{number}", first[name]))


def _arrays(model, variables):
    """Returns arrays by name, and as `name@number` those of replicas that differ."""
    arrays = {}
    for name, variable in variables.items():
        # Trained variables and optimizer state are equal on all replicas.
        same = variable.trainable or name.startswith("optimizer/")
        copies = _copies(model, variable)
        values = [copy.numpy() for copy in (copies[:1] if same else copies)]
        arrays[name] = values[0]
        for number, value in enumerate(values[1:], start=1):
            if value.tobytes() != values[0].tobytes():
                arrays[f"{name}@{number}"] = value
    return arrays


def _finite_arrays(model, position, variables):
    arrays = _arrays(model, variables)
    check_finite(arrays, position.step)
    return arrays
