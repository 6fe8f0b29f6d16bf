"""The feed-forward part of a transformer block, which acts on each token."""

import keras

from semivit_tf.layers.gelu import gelu


@keras.saving.register_keras_serializable(package="semivit_tf")
class FeedForward(keras.layers.Layer):
    """Two dense layers with an exact (erf) GELU between them.

    Args:
        hidden_width: Integer. Channels between the two layers.
        kernel_initializer: Keras initializer or its config.
    """

    halves = 1  # of the first layer's channels, each of the hidden width

    def __init__(self, hidden_width, *, kernel_initializer="glorot_uniform", **kwargs):
        super().__init__(**kwargs)
        self.hidden_width = hidden_width
        self.kernel_initializer = keras.initializers.get(kernel_initializer)

    def build(self, input_shape):
        self.expand = keras.layers.Dense(
            self.halves * self.hidden_width,
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

    def call(self, tokens, training=False):
        return self.contract(gelu(self.expand(tokens), training))

    def compute_output_shape(self, input_shape):
        return input_shape

    def get_config(self):
        return {
            **super().get_config(),
            "hidden_width": self.hidden_width,
            "kernel_initializer": keras.initializers.serialize(self.kernel_initializer),
        }
