"""When does a run have to stop by itself? When its loss is no number any more."""

import math

import keras


class NonFiniteLossError(ArithmeticError):
    """A loss became infinite or no number; the last checkpoint is from before."""


_STEPS = 20  # to look at a loss means to wait for its step


class StopOnNonFiniteLoss(keras.callbacks.Callback):
    """Raises `NonFiniteLossError` soon after it happened, before anything is saved.

    Args:
        stage: String, for the message.
    """

    def __init__(self, stage):
        super().__init__()
        self.stage = stage

    def check(self, epoch, logs):
        """Raises the error where a loss of an epoch, counted from 0, is no number."""
        losses = {n: float(v) for n, v in (logs or {}).items() if "loss" in n}
        bad = [name for name, value in losses.items() if not math.isfinite(value)]
        if bad:
            # The sum says less than its terms.
            name = next((name for name in bad if name != "loss"), "loss")
            raise NonFiniteLossError(
                f"{self.stage}: {name} became {losses[name]} in epoch {epoch + 1}; "
                "the last checkpoint is kept. A lower learning rate may help"
            )

    def on_epoch_begin(self, epoch, logs=None):
        self._epoch = epoch

    def on_train_batch_end(self, batch, logs=None):
        if (batch + 1) % _STEPS == 0:
            self.check(self._epoch, logs)

    def on_epoch_end(self, epoch, logs=None):
        self.check(epoch, logs)
