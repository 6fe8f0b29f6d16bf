"""When does a run have to stop by itself? When its loss is no number any more."""

import math

import keras


class NonFiniteLossError(ArithmeticError):
    """A loss became infinite or no number; the last checkpoint is from before."""


class StopOnNonFiniteLoss(keras.callbacks.Callback):
    """Raises `NonFiniteLossError` at the end of an epoch, before anything is saved.

    Args:
        stage: String, for the message.
    """

    def __init__(self, stage):
        super().__init__()
        self.stage = stage

    def on_epoch_end(self, epoch, logs=None):
        for name, value in (logs or {}).items():
            if "loss" in name and not math.isfinite(float(value)):
                raise NonFiniteLossError(
                    f"{self.stage}: {name} became {float(value)} in epoch {epoch + 1}; "
                    "the last checkpoint is kept. A lower learning rate may help"
                )
