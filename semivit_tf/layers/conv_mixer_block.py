"""One block of ConvMixer: a depthwise convolution, then one of single pixels."""

import keras

from semivit_tf.layers.batch_norm import BatchNorm
from semivit_tf.layers.centered_conv2d import CenteredConv2D
from semivit_tf.layers.gelu import gelu


@keras.saving.register_keras_serializable(package="semivit_tf")
class ConvMixerBlock(keras.layers.Layer):
    """Mixes places with a shortcut, then channels without one.

    Args:
        kernel_size: Odd integer. Side of the depthwise convolution.
        synchronized: See `NormalizedConv2D`.

    Reference:
        Trockman and Kolter, Patches Are All You Need?, 2022.
    """

    def __init__(self, kernel_size=9, *, synchronized=False, **kwargs):
        super().__init__(**kwargs)
        self.kernel_size = kernel_size
        self.synchronized = synchronized

    def build(self, input_shape):
        shared = {"dtype": self.dtype_policy}
        norm = {"synchronized": self.synchronized, **shared}
        self.depthwise = keras.layers.DepthwiseConv2D(
            self.kernel_size, padding="same", name="depthwise", **shared
        )
        self.norm1 = BatchNorm(name="norm1", **norm)
        self.pointwise = CenteredConv2D(
            input_shape[-1], use_bias=True, name="pointwise", **shared
        )
        self.norm2 = BatchNorm(name="norm2", **norm)
        for layer in (self.depthwise, self.norm1, self.pointwise, self.norm2):
            layer.build(input_shape)

    def call(self, features, added=None, training=False):
        """`added` is added to what is convolved, not to what the shortcut carries."""
        mixed = self.depthwise(features if added is None else features + added)
        features += self.norm1(gelu(mixed, training), training=training)
        mixed = gelu(self.pointwise(features), training)
        return self.norm2(mixed, training=training)

    def compute_output_shape(self, input_shape):
        return input_shape

    def get_config(self):
        return {
            **super().get_config(),
            "kernel_size": self.kernel_size,
            "synchronized": self.synchronized,
        }
