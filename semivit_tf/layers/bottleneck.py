"""The bottleneck block of residual networks."""

import keras
from keras import ops

from semivit_tf.layers.drop_path import DropPath
from semivit_tf.layers.normalized_conv2d import NormalizedConv2D


@keras.saving.register_keras_serializable(package="semivit_tf")
class Bottleneck(keras.layers.Layer):
    """Three convolutions, narrow in the middle, and a shortcut around them.

    Args:
        filters: Integer, a multiple of 4. The middle has a fourth.
        stride: Integer. Of the 3x3 convolution and of the shortcut.
        project: Bool. Whether the shortcut has a convolution.
        drop_path: Float in [0, 1). The rate of the residual branch.
        epsilon: Float. Of the batch norms.
        synchronized: See `NormalizedConv2D`.

    Reference:
        He et al., Deep Residual Learning for Image Recognition, 2016.
    """

    def __init__(
        self,
        filters,
        stride=1,
        project=False,
        *,
        drop_path=0.0,
        epsilon=1e-5,
        synchronized=False,
        **kwargs,
    ):
        super().__init__(**kwargs)
        if filters % 4:
            raise ValueError(
                "The channels of a bottleneck should be a multiple of 4. "
                f"Received: {filters}"
            )
        self.filters = filters
        self.stride = stride
        self.project = project
        self.drop_path = drop_path
        self.epsilon = epsilon
        self.synchronized = synchronized
        shared = {"epsilon": epsilon, "synchronized": synchronized}
        shared["dtype"] = self.dtype_policy
        narrow = filters // 4
        self.conv1 = NormalizedConv2D(narrow, name="conv1", **shared)
        self.conv2 = NormalizedConv2D(narrow, 3, stride, name="conv2", **shared)
        self.conv3 = NormalizedConv2D(filters, name="conv3", **shared)
        self.branch = DropPath(drop_path, name="drop_path", dtype=self.dtype_policy)
        if project:
            self.shortcut = NormalizedConv2D(
                filters, 1, stride, name="shortcut", **shared
            )

    def build(self, input_shape):
        if not self.project and (self.stride > 1 or input_shape[-1] != self.filters):
            raise ValueError(
                "`project` should be True where a block changes the size of its input. "
                f"Received: input shape {tuple(input_shape)}, filters={self.filters}, "
                f"stride={self.stride}"
            )
        if self.project:
            self.shortcut.build(input_shape)
        shape = input_shape
        for conv in (self.conv1, self.conv2, self.conv3):
            conv.build(shape)
            shape = conv.compute_output_shape(shape)

    def middle(self, features, added=None, training=False):
        """Returns the features after the 3x3 convolution: a fourth of the channels.

        Args:
            features: Tensor `[B, H, W, C]`.
            added: Optional tensor, added before that convolution.
            training: Bool.
        """
        narrow = ops.relu(self.conv1(features, training=training))
        narrow = narrow if added is None else narrow + added
        return ops.relu(self.conv2(narrow, training=training))

    def end(self, middle, features, training=False):
        """Returns the output, told the features of the middle and those put in."""
        change = self.branch(self.conv3(middle, training=training), training=training)
        if self.project:
            features = self.shortcut(features, training=training)
        return ops.relu(features + change)

    def call(self, features, added=None, training=False):
        """`added` is added to what is convolved, not to what the shortcut carries."""
        convolved = features if added is None else features + added
        middle = self.middle(convolved, training=training)
        return self.end(middle, features, training=training)

    def compute_output_shape(self, input_shape):
        batch, *sides, _ = self.conv2.compute_output_shape(input_shape)
        return (batch, *sides, self.filters)

    def get_config(self):
        names = "filters stride project drop_path epsilon synchronized"
        config = super().get_config()
        return {**config, **{name: getattr(self, name) for name in names.split()}}
