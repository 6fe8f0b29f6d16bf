"""Learning rates, momenta and temperatures as functions of the step."""

import math

import keras
from keras import ops


def scaled_learning_rate(base_learning_rate, labeled_batch_size):
    """Returns base * batch / 256; only labelled images count, over all replicas."""
    return base_learning_rate * labeled_batch_size / 256


@keras.saving.register_keras_serializable(package="semivit_tf")
class WarmupCosine(keras.optimizers.schedules.LearningRateSchedule):
    """Rises linearly from 0 to the peak, then falls along half a cosine, every step.

    Args:
        peak: Float. The learning rate at the end of the warm-up.
        total_steps: Integer. Where the minimum is reached; it stays there.
        warmup_steps: Integer, at most `total_steps`.
        minimum: Float.
    """

    def __init__(self, peak, total_steps, warmup_steps=0, minimum=0.0):
        if not 0 <= warmup_steps <= total_steps:
            raise ValueError(
                "`warmup_steps` should be in [0, total_steps]. Received: "
                f"warmup_steps={warmup_steps}, total_steps={total_steps}"
            )
        self.peak = peak
        self.total_steps = total_steps
        self.warmup_steps = warmup_steps
        self.minimum = minimum

    def __call__(self, step):
        step = ops.cast(step, "float32")
        rising = self.peak * step / max(self.warmup_steps, 1)
        span = max(self.total_steps - self.warmup_steps, 1)
        done = ops.clip((step - self.warmup_steps) / span, 0.0, 1.0)
        return ops.where(step < self.warmup_steps, rising, self.falling(done))

    def falling(self, done):
        """Returns the rate after a share in [0, 1] of the steps after the warm-up."""
        return self.minimum + (self.peak - self.minimum) * 0.5 * (
            1.0 + ops.cos(math.pi * done)
        )

    def get_config(self):
        return {
            "peak": self.peak,
            "total_steps": self.total_steps,
            "warmup_steps": self.warmup_steps,
            "minimum": self.minimum,
        }


@keras.saving.register_keras_serializable(package="semivit_tf")
class WarmupSevenSixteenths(WarmupCosine):
    """Rises linearly from 0 to the peak, then falls to a fifth of it, every step.

    After a share t of the steps after the warm-up the rate is peak * cos(7 pi t / 16),
    as FixMatch and its kin were published with.

    Args:
        peak: See `WarmupCosine`; so are the next two.
        total_steps: Integer.
        warmup_steps: Integer.
    """

    def __init__(self, peak, total_steps, warmup_steps=0):
        super().__init__(peak, total_steps, warmup_steps)

    def falling(self, done):
        return self.peak * ops.cos(7.0 / 16.0 * math.pi * done)

    def get_config(self):
        config = super().get_config()
        del config["minimum"]
        return config


@keras.saving.register_keras_serializable(package="semivit_tf")
class Cosine(keras.optimizers.schedules.LearningRateSchedule):
    """Goes from one value to another along half a cosine, every step.

    Args:
        start: Float.
        end: Float.
        total_steps: Integer. Where the end is reached; it stays there.
    """

    def __init__(self, start, end, total_steps):
        self.start = start
        self.end = end
        self.total_steps = total_steps

    def __call__(self, step):
        done = ops.clip(ops.cast(step, "float32") / self.total_steps, 0.0, 1.0)
        left = 0.5 * (1.0 + ops.cos(math.pi * done))
        return self.end - (self.end - self.start) * left

    def get_config(self):
        return {
            "start": self.start,
            "end": self.end,
            "total_steps": self.total_steps,
        }


@keras.saving.register_keras_serializable(package="semivit_tf")
class EpochRamp(keras.optimizers.schedules.LearningRateSchedule):
    """Goes from one value to another in equal steps at the ends of epochs.

    Args:
        start: Float. The value of the first epoch.
        end: Float. The value from the last epoch of the ramp on.
        epochs: Integer. Epochs of the ramp; 0: the value is `end` throughout.
        steps_per_epoch: Integer.
    """

    def __init__(self, start, end, epochs, steps_per_epoch):
        self.start = start
        self.end = end
        self.epochs = epochs
        self.steps_per_epoch = steps_per_epoch

    def __call__(self, step):
        epoch = ops.floor_divide(ops.cast(step, "int32"), self.steps_per_epoch)
        # After the ramp, or where there is none, the value is `end`.
        done = ops.cast(epoch, "float32") / max(self.epochs - 1, 1)
        done = ops.where(epoch < self.epochs, done, 1.0)
        return self.end - (self.end - self.start) * (1.0 - done)

    def get_config(self):
        return {
            "start": self.start,
            "end": self.end,
            "epochs": self.epochs,
            "steps_per_epoch": self.steps_per_epoch,
        }


@keras.saving.register_keras_serializable(package="semivit_tf")
class Ramp(keras.optimizers.schedules.LearningRateSchedule):
    """Grows linearly from 0 to a value, and stays there.

    Args:
        value: Float. The last value.
        steps: Integer. The step at which it is reached.
    """

    def __init__(self, value, steps):
        self.value = value
        self.steps = steps

    def __call__(self, step):
        return self.value * ops.minimum(ops.cast(step, "float32") / self.steps, 1.0)

    def get_config(self):
        return {"value": self.value, "steps": self.steps}


_ANNEALED = {
    "linear": lambda share: share,
    "exp": lambda share: ops.exp(5.0 * (share - 1.0)),
    "log": lambda share: 1.0 - ops.exp(-5.0 * share),
}


@keras.saving.register_keras_serializable(package="semivit_tf")
class Annealing(keras.optimizers.schedules.LearningRateSchedule):
    """Grows to 1 over a run: evenly, at first slowly (exp), or at first fast (log).

    Args:
        kind: `"linear"`, `"exp"` or `"log"`.
        steps: Integer. Of the run.
    """

    def __init__(self, kind, steps):
        if kind not in _ANNEALED:
            raise ValueError(
                f"`kind` should be one of: {', '.join(_ANNEALED)}. Received: {kind!r}"
            )
        self.kind = kind
        self.steps = steps

    def __call__(self, step):
        share = ops.minimum(ops.cast(step, "float32") / self.steps, 1.0)
        return _ANNEALED[self.kind](share)

    def get_config(self):
        return {"kind": self.kind, "steps": self.steps}
