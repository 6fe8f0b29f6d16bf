"""One ConvNeXt block: a depthwise convolution, then a feed-forward part."""

import keras

from semivit_tf.layers.drop_path import DropPath
from semivit_tf.layers.feed_forward import FeedForward
from semivit_tf.layers.layer_norm import LayerNorm


@keras.saving.register_keras_serializable(package="semivit_tf")
class ConvNeXtBlock(keras.layers.Layer):
    """A depthwise convolution and a feed-forward part, scaled and added to the input.

    Args:
        kernel_size: Integer. Side of the depthwise convolution.
        mlp_ratio: Float. Hidden width of the feed-forward part over the width.
        drop_path: Float in [0, 1). The rate of the residual branch.
        layer_scale: Positive float. The factor on the branch of every channel, at the
            start.
        kernel_initializer: Keras initializer or its config for all kernels.

    Reference:
        Liu et al., A ConvNet for the 2020s, 2022.
    """

    def __init__(
        self,
        *,
        kernel_size=7,
        mlp_ratio=4.0,
        drop_path=0.0,
        layer_scale=1e-6,
        kernel_initializer="glorot_uniform",
        **kwargs,
    ):
        super().__init__(**kwargs)
        if layer_scale <= 0:
            raise ValueError(
                f"`layer_scale` should be positive. Received: layer_scale={layer_scale}"
            )
        self.kernel_size = kernel_size
        self.mlp_ratio = mlp_ratio
        self.drop_path = drop_path
        self.layer_scale = layer_scale
        self.kernel_initializer = keras.initializers.get(kernel_initializer)

    def build(self, input_shape):
        width = input_shape[-1]
        shared = {"dtype": self.dtype_policy}
        self.depthwise = keras.layers.DepthwiseConv2D(
            self.kernel_size,
            padding="same",
            depthwise_initializer=self.kernel_initializer.clone(),
            name="depthwise",
            **shared,
        )
        self.norm = LayerNorm(name="norm", **shared)
        self.mlp = FeedForward(
            int(width * self.mlp_ratio),
            kernel_initializer=self.kernel_initializer.clone(),
            name="mlp",
            **shared,
        )
        self.branch = DropPath(self.drop_path, name="drop_path", **shared)
        self.scale = self.add_weight(
            shape=(width,),
            initializer=keras.initializers.Constant(self.layer_scale),
            name="scale",
        )
        for layer in (self.depthwise, self.norm, self.mlp):
            layer.build(input_shape)

    def call(self, features, training=False):
        change = self.mlp(self.norm(self.depthwise(features)))
        return features + self.branch(change * self.scale, training=training)

    def compute_output_shape(self, input_shape):
        return input_shape

    def get_config(self):
        return {
            **super().get_config(),
            "kernel_size": self.kernel_size,
            "mlp_ratio": self.mlp_ratio,
            "drop_path": self.drop_path,
            "layer_scale": self.layer_scale,
            "kernel_initializer": keras.initializers.serialize(self.kernel_initializer),
        }
