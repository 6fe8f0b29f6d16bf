"""Curves of a stage: a JSON line per epoch, and a TensorBoard file."""

import json
import pathlib

import keras
import tensorflow as tf

from semivit_tf.training.weight_files import CheckpointError
from semivit_tf.whole_file import open_whole


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
            # A line without an end: the run was killed while writing it.
            lines = self.path.read_text(encoding="utf-8").splitlines(keepends=True)
            whole = [line for line in lines if line.endswith("\n")]
            with open_whole(self.path) as file:
                file.writelines(
                    line for line in whole if self._epoch(line) <= initial_epoch
                )
        self.writer = tf.summary.create_file_writer(str(folder / "tensorboard"))

    def _epoch(self, line):
        try:
            return json.loads(line)["epoch"]
        except (KeyError, TypeError, ValueError) as error:
            raise CheckpointError(
                f"{self.path} should have JSON with an `epoch` in each line. "
                f"Received: {line.strip()[:80]}"
            ) from error

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
        with self.writer.as_default(step=step):
            for name, value in values.items():
                tf.summary.scalar(name, value)
        self.writer.flush()
