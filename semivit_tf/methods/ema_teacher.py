"""The callback that makes the teacher a moving average of the student."""

from collections.abc import Callable

import keras
from keras import ops

from semivit_tf.contracts import FollowsStudent


def moving_average(average, value, momentum):
    """Returns momentum * average + (1 - momentum) * value; exact at 0 and at 1."""
    momentum = ops.cast(momentum, average.dtype)
    return momentum * average + (1 - momentum) * value


class EMATeacher(keras.callbacks.Callback):
    """Maintains `model.teacher` as the moving average of `model.student`.

    The callback sets the momentum; the average is computed inside the compiled training
    step, once per optimizer update, so it stays exact with `steps_per_execution` and
    gradient accumulation. `fit` adds `EMATeacher()` when it gets none. In a training
    loop of your own, call `EMATeacher(...).set_model(model)` first.

    Args:
        momentum: Float in [0, 1], or a function from the number of updates done (an
            integer tensor) to the momentum. 1 freezes the teacher, 0 copies the
            student. The average covers about 1 / (1 - momentum) updates: choose a few
            percent of the run.
        validate: `"both"`, `"teacher"` or `"student"`: whose weights validation sees.
    """

    def __init__(self, momentum: float | Callable = 0.9999, validate: str = "both"):
        super().__init__()
        if not callable(momentum) and not 0 <= momentum <= 1:
            raise ValueError(
                f"`momentum` should be in [0, 1] or callable. Received: {momentum}"
            )
        if validate not in ("both", "teacher", "student"):
            raise ValueError(
                '`validate` should be "both", "teacher" or "student". '
                f"Received: validate={validate!r}"
            )
        self.momentum = momentum
        self.validate = validate

    def set_model(self, model):
        super().set_model(model)
        if not isinstance(model, FollowsStudent):
            raise ValueError(
                "EMATeacher needs a model with a student and a teacher, such as "
                f"SemiViT. Received: {type(model).__name__}"
            )
        model.follow_student(self)

    def decides_like(self, other):
        """Returns whether a step compiled for another callback fits this one."""
        mine, its = self.momentum, other.momentum
        schedule = keras.optimizers.schedules.LearningRateSchedule
        if isinstance(mine, schedule) and type(mine) is type(its):
            mine, its = mine.get_config(), its.get_config()
        return mine == its and self.validate == other.validate

    def momentum_at(self, updates):
        """Returns the momentum of the update after `updates` earlier ones."""
        if callable(self.momentum):
            return ops.cast(self.momentum(updates), "float32")
        return ops.convert_to_tensor(self.momentum, "float32")
