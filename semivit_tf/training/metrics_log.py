"""Curves of a stage: a JSON line per epoch, and a TensorBoard file."""

import json
import os
import pathlib

import keras
import tensorflow as tf

from semivit_tf.training.weight_files import CheckpointError
from semivit_tf.whole_file import whole_path


def lines_until(path, epoch):
    """Returns the text of `metrics.jsonl` with the lines of all epochs up to one.

    Later ones are left out, and so is a last line that was torn by a kill. The first
    line is not of epoch 1 where somebody has removed the file meanwhile.
    """
    *lines, last = path.read_bytes().split(b"\n")
    if _epoch(last):  # whole but for its end
        lines.append(last)
    found = [_epoch(line) for line in lines]
    first = found[0] if found else 0
    if epoch and not (
        1 <= first <= epoch + 1
        and found == list(range(first, first + len(found)))
        and found[-1] >= epoch
    ):
        raise CheckpointError(
            f"{path} should have a line of JSON for each epoch, at least up to the "
            f"checkpoint's, {epoch}. Without it, curves start at epoch {epoch + 1}"
        )
    return b"".join(line + b"\n" for line in lines[: max(0, epoch + 1 - first)])


def _epoch(line):
    """Returns the epoch of a line, or 0 if the line is damaged."""
    try:
        epoch = json.loads(line.decode("utf-8"))["epoch"]
    except (KeyError, RecursionError, TypeError, ValueError):
        return 0
    return epoch if type(epoch) is int else 0


class MetricsLog(keras.callbacks.Callback):
    """Appends each epoch's metrics to `metrics.jsonl` and to `tensorboard/`.

    When a run continues, lines after its checkpoint are removed: those epochs run
    again. Inside `with`, `tf.summary` of other callbacks writes to the same file.

    Args:
        folder: Path of the stage.
        initial_epoch: Integer. Epochs done before.
    """

    def __init__(self, folder, initial_epoch=0):
        super().__init__()
        folder = pathlib.Path(folder)
        self.path = folder / "metrics.jsonl"
        if self.path.exists():
            kept = lines_until(self.path, initial_epoch)
            with whole_path(self.path) as aside:
                aside.write_bytes(kept)
        self.writer = tf.summary.create_file_writer(str(folder / "tensorboard"))

    def __enter__(self):
        self._as_default = self.writer.as_default()
        self._as_default.__enter__()
        return self

    def __exit__(self, *error):
        self._as_default.__exit__(*error)
        self.writer.close()

    def on_epoch_end(self, epoch, logs=None):
        values = {name: float(value) for name, value in (logs or {}).items()}
        step = int(self.model.optimizer.iterations.numpy())
        line = json.dumps({"epoch": epoch + 1, "step": step, **values})
        with self.path.open("a", encoding="utf-8") as file:
            file.write(line + "\n")
            file.flush()
            os.fsync(file.fileno())  # before a checkpoint lies past it
        with self.writer.as_default(step=step):
            for name, value in values.items():
                tf.summary.scalar(name, value)
        self.writer.flush()
