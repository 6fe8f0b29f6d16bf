"""The first layers of residual networks: from pixels to a smaller map."""

import keras
from keras import ops

from semivit_tf.layers.centered_conv2d import pad_all_sides
from semivit_tf.layers.normalized_conv2d import NormalizedConv2D


@keras.saving.register_keras_serializable(package="semivit_tf")
class ConvStem(keras.layers.Layer):
    """A convolution, batch norm, a rectifier, and for photographs max pooling.

    Args:
        filters: Integer.
        stride: 4, for photographs: a 7x7 convolution of stride 2 and 3x3 pooling of
            stride 2. 1 or 2, for small images: a 3x3 convolution.
        synchronized: See `NormalizedConv2D`.

    Reference:
        He et al., Deep Residual Learning for Image Recognition, 2016.
    """

    def __init__(self, filters, stride=4, *, synchronized=False, **kwargs):
        super().__init__(**kwargs)
        if stride not in (1, 2, 4):
            raise ValueError(f"`stride` should be 1, 2 or 4. Received: stride={stride}")
        self.filters = filters
        self.stride = stride
        self.synchronized = synchronized
        kernel, step = (7, 2) if stride == 4 else (3, stride)
        self.conv = NormalizedConv2D(
            filters,
            kernel,
            step,
            synchronized=synchronized,
            name="conv",
            dtype=self.dtype_policy,
        )

    def build(self, input_shape):
        self.conv.build(input_shape)

    def call(self, images, training=False):
        features = ops.relu(self.conv(images, training=training))
        if self.stride < 4:
            return features
        # Zeros are no larger than what the rectifier gives.
        return ops.max_pool(pad_all_sides(features, 1), 3, 2, padding="valid")

    def compute_output_shape(self, input_shape):
        batch, *sides, filters = self.conv.compute_output_shape(input_shape)
        if self.stride == 4:
            sides = [side and (side + 1) // 2 for side in sides]
        return (batch, *sides, filters)

    def get_config(self):
        names = "filters stride synchronized"
        config = super().get_config()
        return {**config, **{name: getattr(self, name) for name in names.split()}}
