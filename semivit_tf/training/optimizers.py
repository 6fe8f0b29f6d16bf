"""AdamW with a learning rate factor and a decay switch for each variable."""

from collections.abc import Callable, Sequence

import keras
import tensorflow as tf
from keras import ops

from semivit_tf.contracts import (
    HasFirstUpdates,
    HasLayerGroups,
    backbone_of,
    student_of,
)
from semivit_tf.training.layer_wise import LayerWise


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


@keras.saving.register_keras_serializable(package="semivit_tf")
class LayerWiseAdamW(LayerWise, keras.optimizers.AdamW):
    """AdamW with a factor on the learning rate, and a decay switch, for each variable.

    The factor scales the update and the decay, not the gradient: Adam would undo that.

    Args:
        learning_rate: See `LayerWise`.
        weight_decay: Float or schedule, decoupled from the gradient.
        **kwargs: See `LayerWise` and `keras.optimizers.AdamW`.
    """

    def __init__(self, learning_rate=0.001, weight_decay=0.004, **kwargs):
        kwargs.setdefault("name", "layer_wise_adamw")
        super().__init__(learning_rate, weight_decay, **kwargs)

    def update_step(self, gradient, variable, learning_rate):
        gradient, rate = self._with_rate(gradient, variable, learning_rate)
        decay = self._decay(variable)
        if decay is not None:
            self.assign_sub(variable, variable * (decay * rate))
        if self.amsgrad or isinstance(gradient, tf.IndexedSlices):
            super().update_step(gradient, variable, rate)
        else:
            self._fused_update(gradient, variable, rate)

    def _fused_update(self, gradient, variable, rate):
        index = self._get_variable_index(variable)
        start = self._entry(self.starts, variable, 0)
        constants = self._once(
            ("constants", start, variable.dtype),
            lambda: self._constants(start, variable.dtype),
        )
        tf.raw_ops.ResourceApplyAdam(
            var=variable.handle,
            m=self._momentums[index].value.handle,
            v=self._velocities[index].value.handle,
            lr=rate,
            grad=tf.cast(gradient, variable.dtype),
            **constants,
        )

    def _constants(self, start, dtype):
        """Returns what is the same for all variables that learn from an update on."""
        beta_1, beta_2 = tf.cast(self.beta_1, dtype), tf.cast(self.beta_2, dtype)
        step = tf.cast(ops.maximum(self.iterations + 1 - start, 1), dtype)
        return {
            "beta1_power": beta_1**step,
            "beta2_power": beta_2**step,
            "beta1": beta_1,
            "beta2": beta_2,
            "epsilon": tf.cast(self.epsilon, dtype),
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
    model: keras.Model,
    learning_rate: float | Callable,
    layer_decay: float = 1.0,
    weight_decay: float | Callable = 0.05,
    *,
    beta_1: float = 0.9,
    beta_2: float = 0.999,
    epsilon: float = 1e-8,
    undecayed: Sequence[str] = ("class_token", "position_table", "register_tokens"),
    **kwargs,
) -> keras.optimizers.Optimizer:
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
    return LayerWiseAdamW(
        learning_rate,
        weight_decay,
        **by_variable(model, layer_decay, undecayed),
        beta_1=beta_1,
        beta_2=beta_2,
        epsilon=epsilon,
        **kwargs,
    )


def by_variable(model, layer_decay, undecayed):
    """Returns the arguments of `LayerWise` that are lists over a model's variables."""
    variables = model.trainable_variables
    late = model.first_updates() if isinstance(model, HasFirstUpdates) else {}
    starts = [late.get(id(variable), 0) for variable in variables]
    return {
        "scales": layer_scales(model, layer_decay),
        "starts": starts if any(starts) else None,
        "decayed": [decays(variable, undecayed) for variable in variables],
    }
