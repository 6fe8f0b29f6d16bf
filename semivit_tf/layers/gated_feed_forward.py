"""The gated feed-forward part of a transformer block (SwiGLU)."""

import keras
from keras import ops


def gated_width(hidden_width):
    """Returns the hidden width that costs as much as an ungated one: 2/3, in eights."""
    return (int(hidden_width * 2 / 3) + 7) // 8 * 8


@keras.saving.register_keras_serializable(package="semivit_tf")
class GatedFeedForward(keras.layers.Layer):
    """A dense layer whose first half, through a SiLU, multiplies its second; a dense.

    Args:
        hidden_width: Integer. Channels of each half.
        kernel_initializer: Keras initializer or its config.

    Reference:
        Shazeer, GLU Variants Improve Transformer, 2020.
    """

    def __init__(self, hidden_width, *, kernel_initializer="glorot_uniform", **kwargs):
        super().__init__(**kwargs)
        self.hidden_width = hidden_width
        self.kernel_initializer = keras.initializers.get(kernel_initializer)

    def build(self, input_shape):
        self.expand = keras.layers.Dense(
            2 * self.hidden_width,
            kernel_initializer=self.kernel_initializer.clone(),
            dtype=self.dtype_policy,
            name="expand",
        )
        self.contract = keras.layers.Dense(
            input_shape[-1],
            kernel_initializer=self.kernel_initializer.clone(),
            dtype=self.dtype_policy,
            name="contract",
        )
        self.expand.build(input_shape)
        self.contract.build((*input_shape[:-1], self.hidden_width))

    def call(self, tokens):
        gate, value = ops.split(self.expand(tokens), 2, axis=-1)
        return self.contract(ops.silu(gate) * value)

    def compute_output_shape(self, input_shape):
        return input_shape

    def get_config(self):
        return {
            **super().get_config(),
            "hidden_width": self.hidden_width,
            "kernel_initializer": keras.initializers.serialize(self.kernel_initializer),
        }
