"""ConvMixer's first layer: patches, as places of a map."""

import keras

from semivit_tf.layers.batch_norm import BatchNorm
from semivit_tf.layers.centered_conv2d import CenteredConv2D
from semivit_tf.layers.gelu import gelu


@keras.saving.register_keras_serializable(package="semivit_tf")
class PatchStem(keras.layers.Layer):
    """A convolution whose kernel is its stride, a GELU and batch norm.

    Args:
        filters: Integer.
        patch_size: Integer. Pixels on a side of a place.
        synchronized: See `NormalizedConv2D`.

    Reference:
        Trockman and Kolter, Patches Are All You Need?, 2022.
    """

    def __init__(self, filters, patch_size, *, synchronized=False, **kwargs):
        super().__init__(**kwargs)
        self.filters = filters
        self.patch_size = patch_size
        self.synchronized = synchronized
        side, shared = patch_size, {"dtype": self.dtype_policy}
        self.conv = CenteredConv2D(
            filters, side, side, use_bias=True, name="conv", **shared
        )
        self.norm = BatchNorm(synchronized=synchronized, name="norm", **shared)

    def build(self, input_shape):
        self.conv.build(input_shape)
        self.norm.build(self.conv.compute_output_shape(input_shape))

    def call(self, images, training=False):
        patches = gelu(self.conv(images), training)
        return self.norm(patches, training=training)

    def compute_output_shape(self, input_shape):
        return self.conv.compute_output_shape(input_shape)

    def get_config(self):
        names = "filters patch_size synchronized"
        config = super().get_config()
        return {**config, **{name: getattr(self, name) for name in names.split()}}
