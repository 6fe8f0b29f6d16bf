"""A teacher beside its student: a second copy that follows it."""

import re

import keras
import tensorflow as tf

from semivit_tf.contracts import backbone_of
from semivit_tf.methods.ema_teacher import EMATeacher, moving_average

_REGISTER = "`@keras.saving.register_keras_serializable()`"


def twin(network, name):
    """Builds a network from another's configuration and copies its weights.

    Keras finds classes by name when it rebuilds them. Those of the network itself are
    known here, so they need not be registered.
    """
    backbone = type(backbone_of(network)).__name__
    try:
        with keras.saving.custom_object_scope(_unregistered_classes(network)):
            other = type(network).from_config({**network.get_config(), "name": name})
    except (TypeError, NotImplementedError) as error:
        missing = re.search(r"Could not locate (?:class|function) '(.+?)'", str(error))
        if missing:
            raise ValueError(
                "`backbone` should use registered classes and functions, because the "
                f"teacher is a second copy of it. Decorate {missing[1]} with "
                f"{_REGISTER}. Received: {backbone}"
            ) from error
        raise ValueError(
            "`backbone` should be rebuildable from `get_config()`, because the teacher "
            f"is a second copy of it. Received: {backbone}"
        ) from error
    shapes = [tuple(weight.shape) for weight in network.weights]
    if not shapes or shapes != [tuple(weight.shape) for weight in other.weights]:
        raise ValueError(
            "`backbone` should have the same weights when rebuilt from `get_config()`. "
            f"Received: {backbone}"
        )
    other.set_weights(network.get_weights())
    return other


def _unregistered_classes(network):
    """Returns the classes of a network's layers that Keras does not know, by name."""
    classes = {}
    for layer in network._flatten_layers():
        found = type(layer)
        name = keras.saving.get_registered_name(found)
        if name != found.__name__ or found.__module__.partition(".")[0] == "keras":
            continue
        if classes.setdefault(name, found) is not found:
            raise ValueError(
                "`backbone` should not have two unregistered classes of one name. "
                f"Decorate them with {_REGISTER}. Received: "
                f"{classes[name].__module__}.{name}, {found.__module__}.{name}"
            )
    return classes


class MovingTeacher:
    """A mixin for methods whose `teacher` is the moving average of their `student`.

    List it before `Method` among the bases. Both networks have `weights` in the same
    order.
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
            # That of an earlier `fit`: another one's step would be compiled again.
            default = self._ema_teacher or self.default_teacher()
            default.set_model(self)
            given.append(default)
        return super().fit(*args, callbacks=callbacks, **kwargs)
