"""How do learning rate and momentum move over the steps of a run?"""

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
        falling = self.minimum + (self.peak - self.minimum) * 0.5 * (
            1.0 + ops.cos(math.pi * done)
        )
        return ops.where(step < self.warmup_steps, rising, falling)

    def get_config(self):
        return {
            "peak": self.peak,
            "total_steps": self.total_steps,
            "warmup_steps": self.warmup_steps,
            "minimum": self.minimum,
        }


class CosineMomentum:
    """A teacher's momentum that grows along half a cosine, from a start to 1.

    Args:
        start: Float in [0, 1].
        total_steps: Integer. Where 1 is reached.
    """

    def __init__(self, start, total_steps):
        self.start = start
        self.total_steps = total_steps

    def __call__(self, step):
        done = ops.clip(ops.cast(step, "float32") / self.total_steps, 0.0, 1.0)
        return 1.0 - (1.0 - self.start) * 0.5 * (1.0 + ops.cos(math.pi * done))
