"""Multi-head self-attention between the tokens of an image."""

import keras
from keras import ops


@keras.saving.register_keras_serializable(package="semivit_tf")
class SelfAttention(keras.layers.Layer):
    """Multi-head self-attention with one fused projection.

    The fused kernel's outputs are ordered (query, key, value), each split into
    heads first and head channels second: the layout of published ViT weights.

    Args:
        heads: Integer that divides the width of the input.
        qkv_bias: Bool. Whether the fused projection has a bias.
        kernel_initializer: Keras initializer or its config.
    """

    def __init__(
        self, heads, *, qkv_bias=True, kernel_initializer="glorot_uniform", **kwargs
    ):
        super().__init__(**kwargs)
        self.heads = heads
        self.qkv_bias = qkv_bias
        self.kernel_initializer = keras.initializers.get(kernel_initializer)

    def build(self, input_shape):
        width = input_shape[-1]
        if width % self.heads:
            raise ValueError(
                "`heads` should divide the width of the tokens. Received: "
                f"heads={self.heads}, width={width}"
            )
        self.qkv = keras.layers.Dense(
            3 * width,
            use_bias=self.qkv_bias,
            kernel_initializer=self.kernel_initializer.clone(),
            dtype=self.dtype_policy,
            name="qkv",
        )
        self.projection = keras.layers.Dense(
            width,
            kernel_initializer=self.kernel_initializer.clone(),
            dtype=self.dtype_policy,
            name="projection",
        )
        self.qkv.build(input_shape)
        self.projection.build(input_shape)

    def attend(self, tokens):
        """Returns the attention `[B, heads, N, N]` and the values it weighs.

        The row of each attending token sums to 1. The values are
        `[B, heads, N, D / heads]`.
        """
        count, width = tokens.shape[1], tokens.shape[2]
        head_width = width // self.heads
        qkv = ops.reshape(
            self.qkv(tokens), (-1, count, 3, self.heads, head_width)
        )  # [B, N, 3, heads, D / heads]
        query, key, value = ops.unstack(ops.transpose(qkv, (2, 0, 3, 1, 4)), 3)
        scores = ops.matmul(query * head_width**-0.5, ops.swapaxes(key, -1, -2))
        return ops.softmax(scores), value

    def call(self, tokens):
        count, width = tokens.shape[1], tokens.shape[2]
        attention, value = self.attend(tokens)
        mixed = ops.matmul(attention, value)  # [B, heads, N, D / heads]
        joined = ops.reshape(ops.transpose(mixed, (0, 2, 1, 3)), (-1, count, width))
        return self.projection(joined)

    def compute_output_shape(self, input_shape):
        return input_shape

    def get_config(self):
        return {
            **super().get_config(),
            "heads": self.heads,
            "qkv_bias": self.qkv_bias,
            "kernel_initializer": keras.initializers.serialize(self.kernel_initializer),
        }
