"""The block of wide residual networks, in which norms come first."""

import keras
from keras import ops

from semivit_tf.layers.batch_norm import BatchNorm
from semivit_tf.layers.centered_conv2d import CenteredConv2D
from semivit_tf.layers.drop_path import DropPath


@keras.saving.register_keras_serializable(package="semivit_tf")
class PreActivationBlock(keras.layers.Layer):
    """Two 3x3 convolutions, each after a norm and a rectifier, and a shortcut.

    Where the number of channels changes, the shortcut is a convolution of what the
    first rectifier gives.

    Args:
        filters: Integer.
        stride: Integer. Of the first convolution and of the shortcut.
        negative_slope: Float. Of the rectifiers.
        drop_path: Float in [0, 1). The rate of the residual branch.
        synchronized: See `NormalizedConv2D`.

    Reference:
        Zagoruyko and Komodakis, Wide Residual Networks, 2016.
    """

    def __init__(
        self,
        filters,
        stride=1,
        *,
        negative_slope=0.0,
        drop_path=0.0,
        synchronized=False,
        **kwargs,
    ):
        super().__init__(**kwargs)
        self.filters = filters
        self.stride = stride
        self.negative_slope = negative_slope
        self.drop_path = drop_path
        self.synchronized = synchronized
        shared = {"dtype": self.dtype_policy}
        norm = {"synchronized": synchronized, **shared}
        self.norm1 = BatchNorm(name="norm1", **norm)
        self.conv1 = CenteredConv2D(filters, 3, stride, name="conv1", **shared)
        self.norm2 = BatchNorm(name="norm2", **norm)
        self.conv2 = CenteredConv2D(filters, 3, name="conv2", **shared)
        self.shortcut = CenteredConv2D(filters, 1, stride, name="shortcut", **shared)
        self.branch = DropPath(drop_path, name="drop_path", **shared)

    def build(self, input_shape):
        self.projects = self.stride > 1 or input_shape[-1] != self.filters
        shape = self.conv1.compute_output_shape(input_shape)
        self.norm1.build(input_shape)
        self.conv1.build(input_shape)
        self.norm2.build(shape)
        self.conv2.build(shape)
        if self.projects:
            self.shortcut.build(input_shape)

    def call(self, features, training=False):
        active = self.norm1(features, training=training)
        active = ops.leaky_relu(active, self.negative_slope)
        change = self.norm2(self.conv1(active), training=training)
        change = self.conv2(ops.leaky_relu(change, self.negative_slope))
        kept = self.shortcut(active) if self.projects else features
        return kept + self.branch(change, training=training)

    def compute_output_shape(self, input_shape):
        return self.conv1.compute_output_shape(input_shape)

    def get_config(self):
        names = "filters stride negative_slope drop_path synchronized"
        config = super().get_config()
        return {**config, **{name: getattr(self, name) for name in names.split()}}
