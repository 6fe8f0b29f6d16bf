"""When the state of a run is saved, and when its best weights are."""

import dataclasses
import time

import keras

from semivit_tf.stop_signals import Stopped
from semivit_tf.training.checkpoints import Position


class SaveCheckpoints(keras.callbacks.Callback):
    """Saves every so many seconds or steps, and at the end of the last epoch.

    A step that ends an epoch is saved after its validation.

    Args:
        checkpoints: `Checkpoints`.
        position: `Position` of the start.
        epochs: Integer. The number of the last epoch.
        steps_per_epoch: Integer.
        seconds: Float. Saves when the latest checkpoint is older.
        steps: Optional integer. Saves when it is so many steps behind, too.
        best: Optional tuple `(name, metric)`. The weights with the highest value of the
            metric are kept as the best of that name.
        check: Function of epoch and logs that raises if nothing should be saved.
        stop: Function that returns whether to stop after this step.
        last: Function that returns whether an epoch is the last one before its time.
    """

    def __init__(
        self,
        checkpoints,
        position,
        epochs,
        steps_per_epoch,
        *,
        seconds=60.0,
        steps=None,
        best=None,
        check=lambda epoch, logs: None,
        stop=lambda: False,
        last=lambda: False,
    ):
        super().__init__()
        self.checkpoints = checkpoints
        self.position = self.saved = position
        self.epochs = epochs
        self.steps_per_epoch = steps_per_epoch
        self.seconds = seconds
        self.steps = steps
        self.best = best
        self.check = check
        self.stop = stop
        self.last = last
        self._last = time.monotonic()

    @property
    def due(self):
        """Whether the latest checkpoint is too old."""
        done = self.position.step - self.saved.step
        if self.steps is not None and done >= self.steps:
            return True
        return time.monotonic() - self._last >= self.seconds

    def on_epoch_begin(self, epoch, logs=None):
        self._before = self.position.step

    def on_train_batch_end(self, batch, logs=None):
        # Keras calls this once an execution, with the number of its last step.
        step = self._before + batch + 1
        self.position = dataclasses.replace(self.position, step=step)
        begun = step - self.position.epoch * self.steps_per_epoch
        if begun < self.steps_per_epoch:
            self._save_if_due(logs)

    def on_epoch_end(self, epoch, logs=None):
        self.position = Position(epoch + 1, (epoch + 1) * self.steps_per_epoch)
        if self.best and self.best[1] in (logs or {}):
            name, metric = self.best
            value = float(logs[metric])
            self.checkpoints.save_best(self.model, self.position, name, value)
        self._save_if_due(logs, last=epoch + 1 == self.epochs or self.last())

    def _save_if_due(self, logs, last=False):
        stop = self.stop()
        if last or stop or self.due:
            self.check(self.position.epoch, logs)
            self.checkpoints.save(self.model, self.position)
            self.saved, self._last = self.position, time.monotonic()
        if stop and not last:
            raise Stopped
