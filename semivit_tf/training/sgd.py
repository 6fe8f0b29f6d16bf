"""SGD with a learning rate factor and a decay switch for each variable."""

import keras
import tensorflow as tf

from semivit_tf.training.layer_wise import LayerWise
from semivit_tf.training.optimizers import by_variable


@keras.saving.register_keras_serializable(package="semivit_tf")
class LayerWiseSGD(LayerWise, keras.optimizers.SGD):
    """SGD with Nesterov momentum, as FixMatch and its kin were published with.

    Weight decay is L2: its gradient goes through the momentum. The momentum sums
    gradients, as in PyTorch, where Keras' sums updates: they differ where the learning
    rate changes.

    Args:
        learning_rate: See `LayerWise`.
        weight_decay: Float or schedule.
        momentum: Float in [0, 1].
        nesterov: Bool.
        **kwargs: See `LayerWise` and `keras.optimizers.SGD`.
    """

    def __init__(
        self,
        learning_rate=0.03,
        weight_decay=5e-4,
        *,
        momentum=0.9,
        nesterov=True,
        **kwargs,
    ):
        kwargs.setdefault("name", "layer_wise_sgd")
        options = {"momentum": float(momentum), "nesterov": nesterov}
        super().__init__(learning_rate, weight_decay, **options, **kwargs)
        if not self.momentum:
            raise ValueError("`momentum` should be positive. Received: 0.0")

    def update_step(self, gradient, variable, learning_rate):
        def cast(value):
            return tf.cast(value, variable.dtype)

        gradient = cast(tf.convert_to_tensor(gradient))
        decay = self._decay(variable)
        if decay is not None:
            gradient += cast(decay) * variable
        gradient, rate = self._with_rate(gradient, variable, learning_rate)
        tf.raw_ops.ResourceApplyMomentum(
            var=variable.handle,
            accum=self.momentums[self._get_variable_index(variable)].value.handle,
            lr=rate,
            grad=gradient,
            momentum=cast(self.momentum),
            use_nesterov=self.nesterov,
        )


def layer_wise_sgd(
    model,
    learning_rate,
    layer_decay=1.0,
    weight_decay=5e-4,
    *,
    undecayed=("class_token", "position_table"),
    **kwargs,
):
    """Makes SGD with Nesterov momentum; as `layer_wise_adamw`, by layers.

    Args:
        model: A method or backbone, whose trainable variables the optimizer is for.
        learning_rate: Float or schedule.
        layer_decay: Float in (0, 1].
        weight_decay: Float or schedule: L2, on all but biases and norms.
        undecayed: Names of further variables that do not decay.
        **kwargs: See `LayerWiseSGD`.

    Returns:
        A `LayerWiseSGD`.
    """
    options = by_variable(model, layer_decay, undecayed)
    return LayerWiseSGD(learning_rate, weight_decay, **options, **kwargs)
