"""When does a run have to stop by itself? When its loss is no number any more."""

import math

import keras
import numpy as np


class NonFiniteLossError(ArithmeticError):
    """A loss or weight is infinite or no number; the last checkpoint is from before."""


_ADVICE = (
    "what was kept before is sound. A lower learning rate or --..._clip_norm may help, "
    "in another --workdir"
)


def check_finite(arrays, step):
    """Refuses a state in which an array, of those by name, holds what is no number."""
    for name, array in arrays.items():
        if array.dtype.kind == "f" and not np.isfinite(array).all():
            raise NonFiniteLossError(
                f"{name} is not finite after step {step}; {_ADVICE}"
            )


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
                f"{_ADVICE}"
            )

    def on_epoch_begin(self, epoch, logs=None):
        self._epoch, self._looked = epoch, 0

    def on_train_batch_end(self, batch, logs=None):
        if batch + 1 - self._looked >= _STEPS:
            self._looked = batch + 1
            self.check(self._epoch, logs)

    def on_epoch_end(self, epoch, logs=None):
        self.check(epoch, logs)
