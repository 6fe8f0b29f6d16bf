"""How is a teacher kept beside its student? As a second copy that follows it."""

import keras
import tensorflow as tf

from semivit_tf.methods.ema_teacher import EMATeacher, moving_average


def twin(network, name):
    """Builds a network from another's configuration and copies its weights."""
    try:
        other = type(network).from_config({**network.get_config(), "name": name})
    except (TypeError, NotImplementedError) as error:
        raise ValueError(
            "`backbone` should be rebuildable from `get_config()`, because the teacher "
            f"is a second copy of it. Received: {type(network.backbone).__name__}"
        ) from error
    shapes = [tuple(weight.shape) for weight in network.weights]
    if not shapes or shapes != [tuple(weight.shape) for weight in other.weights]:
        raise ValueError(
            "`backbone` should have the same weights when rebuilt from `get_config()`. "
            f"Received: {type(network.backbone).__name__}"
        )
    other.set_weights(network.get_weights())
    return other


class MovingTeacher:
    """What a method gains whose `teacher` is the moving average of its `student`.

    To be named before `Method` among the bases. Both networks have `weights` in the
    same order.
    """

    _ema_teacher = None

    @staticmethod
    def default_teacher():
        """Returns the `EMATeacher` that `fit` adds when it gets none."""
        return EMATeacher()

    def follow_student(self, ema_teacher):
        """Lets an `EMATeacher` decide how the teacher moves and who is validated."""
        before, self._ema_teacher = self._ema_teacher, ema_teacher
        if before is None or not ema_teacher.decides_like(before):
            # Its momentum is compiled into these.
            self.train_function = self.test_function = None

    def after_update(self, updated):
        if self._ema_teacher is None:
            return
        momentum = self._ema_teacher.momentum_at(self.optimizer.iterations - 1)
        momentum = tf.where(updated > 0, momentum, 1.0)

        def move(strategy, momentum):
            pairs = zip(self.teacher.weights, self.student.weights, strict=True)
            for teacher, student in pairs:
                strategy.extended.update(
                    teacher.value,
                    lambda old, new, m: old.assign(moving_average(old, new, m)),
                    args=(student.value, momentum),
                    group=False,
                )

        tf.distribute.get_replica_context().merge_call(move, args=(momentum,))

    def fit(self, *args, callbacks=None, **kwargs):
        if isinstance(callbacks, keras.callbacks.CallbackList):
            given = callbacks.callbacks
        else:
            given = callbacks = keras.tree.flatten(callbacks or [])
        if not any(isinstance(callback, EMATeacher) for callback in given):
            # The one of an earlier `fit`, or else its step would be compiled again.
            default = self._ema_teacher or self.default_teacher()
            default.set_model(self)
            given.append(default)
        return super().fit(*args, callbacks=callbacks, **kwargs)
