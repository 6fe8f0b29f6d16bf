"""A convolution that is centred on what it looks at, whatever its stride."""

import keras
from keras import ops


def pad_all_sides(images, count):
    """Adds zeros on all four sides of images `[B, H, W, C]`."""
    if not count:
        return images
    return ops.pad(images, ((0, 0), (count, count), (count, count), (0, 0)))


@keras.saving.register_keras_serializable(package="semivit_tf")
class CenteredConv2D(keras.layers.Conv2D):
    """A convolution with (kernel - 1) / 2 zeros on all sides.

    With `padding="same"` TensorFlow adds more zeros below and on the right where the
    stride is even; published networks do not.

    Args:
        filters: Integer.
        kernel_size: Odd integer, or any integer that is also the stride.
        strides: Integer.
        **kwargs: Passed to `keras.layers.Conv2D`. By default there is no bias, and
            kernels are drawn for rectifiers by the number of outputs.

    Reference:
        He et al., Delving Deep into Rectifiers, 2015.
    """

    def __init__(self, filters, kernel_size=1, strides=1, **kwargs):
        kwargs.setdefault("use_bias", False)
        kwargs.setdefault("kernel_initializer", he_normal())
        kwargs["padding"] = "valid"
        super().__init__(filters, kernel_size, strides, **kwargs)

    @property
    def margin(self):
        """The rows and columns of zeros on each side."""
        side = self.kernel_size[0]
        return 0 if side == self.strides[0] else (side - 1) // 2

    def call(self, inputs):
        return super().call(pad_all_sides(inputs, self.margin))

    def compute_output_shape(self, input_shape):
        batch, *sides, channels = input_shape
        padded = [side and side + 2 * self.margin for side in sides]
        return super().compute_output_shape((batch, *padded, channels))


def he_normal():
    """Returns the initializer of kernels before a rectifier, by their outputs."""
    return keras.initializers.VarianceScaling(
        2.0, mode="fan_out", distribution="untruncated_normal"
    )
