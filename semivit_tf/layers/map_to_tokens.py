"""What a map tells tokens: one token for each square of its places."""

import keras
from keras import ops

from semivit_tf.layers.centered_conv2d import CenteredConv2D
from semivit_tf.layers.gelu import gelu
from semivit_tf.layers.layer_norm import LayerNorm


@keras.saving.register_keras_serializable(package="semivit_tf")
class MapToTokens(keras.layers.Layer):
    """Projects a map `[B, H, W, C]`, averages its squares and normalises them.

    Returns patch tokens `[B, N, D]` row by row, without a class token.

    Args:
        width: Integer D.
        ratio: Integer. The side of a square, in places of the map.

    Reference:
        Peng et al., Conformer: Local Features Coupling Global Representations, 2021.
    """

    def __init__(self, width, ratio, **kwargs):
        super().__init__(**kwargs)
        self.width = width
        self.ratio = ratio
        shared = {"dtype": self.dtype_policy}
        self.project = CenteredConv2D(width, use_bias=True, name="project", **shared)
        self.norm = LayerNorm(name="norm", **shared)

    def build(self, input_shape):
        self.project.build(input_shape)
        self.norm.build(self.compute_output_shape(input_shape))

    def call(self, features, training=False):
        projected = self.project(features)
        if self.ratio > 1:
            projected = ops.average_pool(projected, self.ratio, self.ratio)
        rows, columns = projected.shape[1:3]
        tokens = ops.reshape(projected, (-1, rows * columns, self.width))
        return gelu(self.norm(tokens, training=training), training)

    def compute_output_shape(self, input_shape):
        _, rows, columns, _ = input_shape
        count = (rows // self.ratio) * (columns // self.ratio)
        return (input_shape[0], count, self.width)

    def get_config(self):
        return {**super().get_config(), "width": self.width, "ratio": self.ratio}
