"""A convolution and the batch norm of what it gives."""

import keras

from semivit_tf.layers.batch_norm import BatchNorm
from semivit_tf.layers.centered_conv2d import CenteredConv2D


@keras.saving.register_keras_serializable(package="semivit_tf")
class NormalizedConv2D(keras.layers.Layer):
    """A convolution, then batch norm.

    Args:
        filters: Integer.
        kernel_size: Odd integer.
        strides: Integer.
        use_bias: Bool. Before a norm a bias is of no effect; some networks have it.
        epsilon: Float. Added to the variance.
        synchronized: Bool. Whether replicas normalise by the images of all of them.
    """

    def __init__(
        self,
        filters,
        kernel_size=1,
        strides=1,
        *,
        use_bias=False,
        epsilon=1e-5,
        synchronized=False,
        **kwargs,
    ):
        super().__init__(**kwargs)
        self.filters = filters
        self.kernel_size = kernel_size
        self.strides = strides
        self.use_bias = use_bias
        self.epsilon = epsilon
        self.synchronized = synchronized
        self.conv = CenteredConv2D(
            filters,
            kernel_size,
            strides,
            use_bias=use_bias,
            name="conv",
            dtype=self.dtype_policy,
        )
        self.norm = BatchNorm(
            epsilon=epsilon,
            synchronized=synchronized,
            name="norm",
            dtype=self.dtype_policy,
        )

    def build(self, input_shape):
        self.conv.build(input_shape)
        self.norm.build(self.conv.compute_output_shape(input_shape))

    def call(self, inputs, training=False):
        return self.norm(self.conv(inputs), training=training)

    def compute_output_shape(self, input_shape):
        return self.conv.compute_output_shape(input_shape)

    def get_config(self):
        names = "filters kernel_size strides use_bias epsilon synchronized"
        config = super().get_config()
        return {**config, **{name: getattr(self, name) for name in names.split()}}
