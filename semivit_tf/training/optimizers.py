"""AdamW with a learning rate factor and a decay switch for each variable."""

import keras
import tensorflow as tf
from keras import ops

from semivit_tf.contracts import (
    HasFirstUpdates,
    HasLayerGroups,
    backbone_of,
    student_of,
)


def decays(variable, undecayed):
    """Returns whether weight decay applies: to matrices, unless exempt by name."""
    return len(variable.shape) > 1 and variable.name not in undecayed


def layer_ids(variables, groups):
    """Returns the number of each variable's group; `len(groups)` for those in none.

    Args:
        variables: List of variables.
        groups: List of lists of variables, from pixels to features.
    """
    numbers = {
        id(variable): number
        for number, group in enumerate(groups)
        for variable in group
    }
    return [numbers.get(id(variable), len(groups)) for variable in variables]


def find_layer_groups(model):
    """Returns the groups of the backbone that a method trains, or None."""
    backbone = backbone_of(student_of(model))
    return backbone.layer_groups() if isinstance(backbone, HasLayerGroups) else None


def clip_norm(gradient, largest):
    """Returns a gradient, scaled down to an L2 norm of at most `largest`."""
    norm = ops.sqrt(ops.sum(ops.square(gradient)))
    return gradient * ops.minimum(largest / (norm + 1e-6), 1.0)


def clip_global_norm(gradients, largest):
    """Returns gradients, scaled down together to an L2 norm of at most `largest`."""
    norm = ops.sqrt(sum(ops.sum(ops.square(gradient)) for gradient in gradients))
    factor = ops.minimum(largest / (norm + 1e-6), 1.0)
    return [gradient * factor for gradient in gradients]


@keras.saving.register_keras_serializable(package="semivit_tf")
class LayerWiseAdamW(keras.optimizers.AdamW):
    """AdamW with a factor on the learning rate, and a decay switch, for each variable.

    The factor scales the update and the decay, not the gradient: Adam would undo that.
    `clipnorm`, `global_clipnorm` and `clipvalue` limit gradients after they are summed
    over replicas and accumulated steps. The update is one TensorFlow kernel,
    `ResourceApplyAdam`, instead of a dozen Keras ops; results differ by rounding only.

    Args:
        learning_rate: Float or schedule.
        weight_decay: Float, or a schedule over the same steps.
        scales: List of floats, in the order of the trainable variables.
        decayed: List of bools, likewise.
        starts: List of integers, likewise. The number of first updates that leave a
            variable and its moments unchanged.
        **kwargs: See `keras.optimizers.AdamW`.
    """

    def __init__(
        self,
        learning_rate=0.001,
        weight_decay=0.004,
        *,
        scales=None,
        decayed=None,
        starts=None,
        **kwargs,
    ):
        kwargs.setdefault("name", "layer_wise_adamw")
        super().__init__(learning_rate, weight_decay, **kwargs)
        self.scales = scales
        self.decayed = decayed
        self.starts = starts

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

    def _entry(self, entries, variable, default):
        if entries is None:
            return default
        return entries[self._get_variable_index(variable)]

    def update_step(self, gradient, variable, learning_rate):
        scale = self._entry(self.scales, variable, 1.0)
        start = self._entry(self.starts, variable, 0)
        if start:
            learns = ops.cast(self.iterations >= start, variable.dtype)
            gradient, scale = gradient * learns, scale * learns
        if self.weight_decay and self._entry(self.decayed, variable, True):
            decay = self.weight_decay
            decay = decay(self.iterations) if callable(decay) else decay
            rate = ops.cast(learning_rate * scale, variable.dtype)
            self.assign_sub(variable, variable * (decay * rate))
        if self.amsgrad or isinstance(gradient, tf.IndexedSlices):
            super().update_step(gradient, variable, learning_rate * scale)
        else:
            self._fused_update(gradient, variable, learning_rate * scale)

    def _fused_update(self, gradient, variable, learning_rate):
        def cast(value):
            return tf.cast(value, variable.dtype)

        index = self._get_variable_index(variable)
        start = self._entry(self.starts, variable, 0)
        step = cast(ops.maximum(self.iterations + 1 - start, 1))
        tf.raw_ops.ResourceApplyAdam(
            var=variable.handle,
            m=self._momentums[index].value.handle,
            v=self._velocities[index].value.handle,
            beta1_power=cast(self.beta_1) ** step,
            beta2_power=cast(self.beta_2) ** step,
            lr=cast(learning_rate),
            beta1=cast(self.beta_1),
            beta2=cast(self.beta_2),
            epsilon=cast(self.epsilon),
            grad=cast(gradient),
        )

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


def layer_scales(model, layer_decay):
    """Returns each trainable variable's factor on the learning rate.

    The head's is 1; that of every layer is `layer_decay` times the next layer's.

    Args:
        model: A method or backbone.
        layer_decay: Float in (0, 1].
    """
    if not 0 < layer_decay <= 1:
        raise ValueError(f"`layer_decay` should be in (0, 1]. Received: {layer_decay}")
    groups = find_layer_groups(model)
    if groups is None and layer_decay != 1:
        raise ValueError(
            "`layer_decay` should be 1 for a backbone without `layer_groups()`. "
            f"Received: layer_decay={layer_decay}"
        )
    groups = groups or []
    numbers = layer_ids(model.trainable_variables, groups)
    return [layer_decay ** (len(groups) - number) for number in numbers]


def layer_wise_adamw(
    model,
    learning_rate,
    layer_decay=1.0,
    weight_decay=0.05,
    *,
    beta_1=0.9,
    beta_2=0.999,
    epsilon=1e-8,
    undecayed=("class_token", "position_table"),
    **kwargs,
):
    """Makes AdamW for fine-tuning: earlier layers learn more slowly.

    The head's factor is 1; every layer before it has `layer_decay` times that of the
    layer after it. Biases and norms do not decay.

    Args:
        model: A method or backbone, whose trainable variables the optimizer is for.
        learning_rate: Float or schedule.
        layer_decay: Float in (0, 1].
        weight_decay: Float or schedule, decoupled from the gradient.
        beta_1: Float.
        beta_2: Float.
        epsilon: Float.
        undecayed: Names of further variables that do not decay. MAE and DINO decay
            their tokens: there, pass none.
        **kwargs: See `keras.optimizers.AdamW`.

    Returns:
        A `LayerWiseAdamW`.

    Reference:
        Bao et al., BEiT: BERT Pre-Training of Image Transformers, 2022.
    """
    variables = model.trainable_variables
    late = model.first_updates() if isinstance(model, HasFirstUpdates) else {}
    starts = [late.get(id(variable), 0) for variable in variables]
    return LayerWiseAdamW(
        learning_rate,
        scales=layer_scales(model, layer_decay),
        starts=starts if any(starts) else None,
        decayed=[decays(variable, undecayed) for variable in variables],
        weight_decay=weight_decay,
        beta_1=beta_1,
        beta_2=beta_2,
        epsilon=epsilon,
        **kwargs,
    )
