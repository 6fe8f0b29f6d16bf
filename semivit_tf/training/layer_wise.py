"""What optimizers share that treat each variable by its place in the network."""

import keras
import tensorflow as tf
from keras import ops

from semivit_tf.training.clipping import clip_global_norm, clip_norm


class Once:
    """Makes each value when it is first asked for, and keeps it."""

    def __init__(self):
        self._made = {}

    def __call__(self, key, make):
        if key not in self._made:
            self._made[key] = make()
        return self._made[key]


def each_time(key, make):
    """Makes a value, whatever was made before."""
    return make()


class LayerWise:
    """A mixin for optimizers that treat each variable by its place in the network.

    List it before an optimizer of Keras. `clipnorm`, `global_clipnorm` and `clipvalue`
    limit gradients after they are summed over replicas and accumulated steps. An update
    is one kernel of TensorFlow instead of several Keras ops; results differ by rounding
    only.

    Args:
        learning_rate: Float or schedule.
        weight_decay: Float, or a schedule over the same steps.
        scales: List of floats, in the order of the trainable variables: factors on the
            learning rate.
        decayed: List of bools, likewise.
        starts: List of integers, likewise. The number of first updates that leave a
            variable and its moments unchanged.
        **kwargs: See the optimizer of Keras.
    """

    def __init__(
        self,
        learning_rate,
        weight_decay,
        *,
        scales=None,
        decayed=None,
        starts=None,
        **kwargs,
    ):
        super().__init__(learning_rate, weight_decay=weight_decay, **kwargs)
        self.scales = scales
        self.decayed = decayed
        self.starts = starts
        self._once = each_time

    def build(self, variables):
        super().build(variables)
        for name in ("scales", "decayed", "starts"):
            entries = getattr(self, name)
            if entries is not None and len(entries) != len(variables):
                raise ValueError(
                    f"`{name}` should have one entry per trainable variable. Received: "
                    f"{len(entries)} for {len(variables)} variables"
                )

    def _get_current_learning_rate(self):
        # By updates: with gradient accumulation Keras counts batches instead.
        if isinstance(
            self._learning_rate, keras.optimizers.schedules.LearningRateSchedule
        ):
            return self._learning_rate(self.iterations)
        return super()._get_current_learning_rate()

    def _distributed_tf_update_step(self, *args):
        """Updates all variables; what they share is computed for the first of them."""
        self._once = Once()
        try:
            super()._distributed_tf_update_step(*args)
        finally:
            self._once = each_time  # tensors of a graph mean nothing outside

    def _entry(self, entries, variable, default):
        if entries is None:
            return default
        return entries[self._get_variable_index(variable)]

    def _with_rate(self, gradient, variable, learning_rate):
        """Returns a gradient and its learning rate; both are 0 before the start."""
        scale = self._entry(self.scales, variable, 1.0)
        start = self._entry(self.starts, variable, 0)

        def learns():
            return ops.cast(self.iterations >= start, variable.dtype)

        def rate():
            scaled = learning_rate * scale
            if start:
                scaled *= self._once(("learns", start, variable.dtype), learns)
            return tf.cast(scaled, variable.dtype)

        if start:
            gradient *= self._once(("learns", start, variable.dtype), learns)
        return gradient, self._once(("rate", scale, start, variable.dtype), rate)

    def _decay(self, variable):
        """Returns a variable's weight decay at this update, or None."""
        if not self.weight_decay or not self._entry(self.decayed, variable, True):
            return None
        decay = self.weight_decay
        if not callable(decay):
            return decay
        return self._once("decay", lambda: decay(self.iterations))

    def _apply_weight_decay(self, variables):
        """Does nothing: the decay is in `update_step`, where the scale is known."""

    def _clip_gradients(self, gradients):
        """Does nothing: Keras would clip here, before replicas are summed."""
        return gradients

    def _all_reduce_sum_gradients(self, grads_and_vars):
        """Sums gradients over replicas, then clips the sums."""
        pairs = super()._all_reduce_sum_gradients(grads_and_vars)
        found = [(gradient, v) for gradient, v in pairs if gradient is not None]
        gradients, variables = (
            [gradient for gradient, _ in found],
            [v for _, v in found],
        )
        if self.clipnorm:
            gradients = [clip_norm(gradient, self.clipnorm) for gradient in gradients]
        elif self.global_clipnorm:
            gradients = clip_global_norm(gradients, self.global_clipnorm)
        elif self.clipvalue:
            most = self.clipvalue
            gradients = [ops.clip(gradient, -most, most) for gradient in gradients]
        return list(zip(gradients, variables, strict=True))

    @classmethod
    def from_config(cls, config, custom_objects=None):
        decay = keras.saving.deserialize_keras_object(config["weight_decay"])
        return super().from_config({**config, "weight_decay": decay}, custom_objects)

    def get_config(self):
        return {
            **super().get_config(),
            "weight_decay": keras.saving.serialize_keras_object(self.weight_decay),
            "scales": self.scales,
            "decayed": self.decayed,
            "starts": self.starts,
        }
