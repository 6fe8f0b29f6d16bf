"""Stop a run whose loss or weights become non-finite."""

import math

import keras
import numpy as np


class NonFiniteLossError(ArithmeticError):
    """A loss or weight is non-finite; the last checkpoint is from before."""


_ADVICE = (
    "the checkpoint before is finite. A lower learning rate or --..._clip_norm may "
    "help, in another --workdir"
)


def check_finite(arrays, step):
    """Raises `NonFiniteLossError` if one of the arrays, by name, is non-finite."""
    for name, array in arrays.items():
        if array.dtype.kind == "f" and not np.isfinite(array).all():
            raise NonFiniteLossError(
                f"{name} is non-finite after step {step}; {_ADVICE}"
            )


_STEPS = 20  # between checks: reading a loss waits for its step


class StopOnNonFiniteLoss(keras.callbacks.Callback):
    """Raises `NonFiniteLossError` within 20 steps, and before anything is saved.

    Args:
        stage: String, for the message.
    """

    def __init__(self, stage):
        super().__init__()
        self.stage = stage

    def check(self, epoch, logs):
        """Raises the error if a loss of an epoch, counted from 0, is non-finite."""
        losses = {n: float(v) for n, v in (logs or {}).items() if "loss" in n}
        bad = [name for name, value in losses.items() if not math.isfinite(value)]
        if bad:
            # A term says more than their sum.
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
