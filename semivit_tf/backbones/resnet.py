"""ResNets and wide ResNets, from pixels to one feature vector per image."""

from collections.abc import Sequence

import keras
import numpy as np
from keras import ops

from semivit_tf.backbones.pixel_backbone import (
    PixelBackbone,
    block_strides,
    check_stages,
)
from semivit_tf.layers.batch_norm import BatchNorm
from semivit_tf.layers.bottleneck import Bottleneck
from semivit_tf.layers.centered_conv2d import CenteredConv2D
from semivit_tf.layers.conv_stem import ConvStem
from semivit_tf.layers.pre_activation_block import PreActivationBlock

RESNET_SIZES = {
    "resnet50": {"depths": (3, 4, 6, 3), "widths": (256, 512, 1024, 2048)},
    "resnet101": {"depths": (3, 4, 23, 3), "widths": (256, 512, 1024, 2048)},
    "resnet152": {"depths": (3, 8, 36, 3), "widths": (256, 512, 1024, 2048)},
}
WIDE_RESNET_SIZES = {
    "wide_resnet28_2": {"depths": (4, 4, 4), "widths": (32, 64, 128)},
    "wide_resnet28_8": {"depths": (4, 4, 4), "widths": (128, 256, 512)},
}


class ResidualNetwork(PixelBackbone):
    """A stem, residual blocks and the mean over all positions.

    Each stage after the first halves rows and columns. Images of another size than
    `image_size` are accepted.
    """

    arguments: tuple[str, ...] = ("depths", "widths", "stem_width")

    def __init__(self, image_size, depths, widths, stem_width, *pixels, **kwargs):
        super().__init__(image_size, 1, *pixels, **kwargs)
        self.depths, self.widths = check_stages(depths, widths)
        self.stem_width = stem_width

    def _blocks(self, make):
        """Makes all blocks.

        Args:
            make: Function of a width, a stride, whether a block is the first of its
                stage, and arguments of a layer.
        """
        rates = np.linspace(0, self.drop_path, sum(self.depths)).tolist()
        strides = iter(zip(block_strides(self.depths), rates, strict=True))
        blocks = []
        for stage, (depth, width) in enumerate(
            zip(self.depths, self.widths, strict=True)
        ):
            for number in range(depth):
                stride, rate = next(strides)
                blocks.append(
                    make(
                        width,
                        stride,
                        number == 0,
                        drop_path=rate,
                        synchronized=self.synchronized,
                        name=f"stage{stage}_block{number}",
                        dtype=self.dtype_policy,
                    )
                )
        return blocks

    @property
    def width(self):
        """The number of features D."""
        return self.widths[-1]

    def build(self, input_shape):
        shape = (None, *self.image_shape)
        for layer in (self.stem, *self.blocks):
            layer.build(shape)
            shape = layer.compute_output_shape(shape)
        self.built = True

    def call(self, images, training=False):
        features = self.begun(self.normalization(images), training)
        for block in self.blocks:
            features = block(features, training=training)
        return ops.mean(self.finished(features, training), axis=(1, 2))

    def begun(self, images, training):
        """Returns the input of the first block."""
        return self.stem(images, training=training)

    def finished(self, features, training):
        """Returns the last block's output as it is averaged."""
        return features

    def compute_output_shape(self, input_shape):
        return (input_shape[0], self.width)

    def layer_groups(self):
        """Returns trainable variables in groups: the stem, then each block."""
        return [layer.trainable_variables for layer in (self.stem, *self.blocks)]


@keras.saving.register_keras_serializable(package="semivit_tf")
class ResNet(ResidualNetwork):
    """A ResNet of bottlenecks that takes pixels and returns pooled features.

    As in most published code, the 3x3 convolution of a bottleneck has its stride.

    Args:
        image_size: Integer or tuple `(H, W)`.
        depths: Integers. Blocks of each stage.
        widths: Integers. Channels of each stage; the last one is D.
        channels: Integer C. 1 for grey images, 3 for colour.
        stem_width: Integer. Channels of the stem.
        stem_stride: See `ConvStem`; 1 or 2 for small images.
        drop_path: Float in [0, 1). Rate of the last block; it grows linearly from 0.
        synchronized: Bool. Whether replicas normalise by the images of all of them.
        pixel_mean: See `PixelBackbone`.
        pixel_std: See `PixelBackbone`.

    Reference:
        He et al., Deep Residual Learning for Image Recognition, 2016.
    """

    arguments = (*ResidualNetwork.arguments, "stem_stride")

    def __init__(
        self,
        image_size: int | tuple[int, int],
        depths: Sequence[int],
        widths: Sequence[int],
        *,
        channels: int = 3,
        stem_width: int = 64,
        stem_stride: int = 4,
        drop_path: float = 0.0,
        synchronized: bool = False,
        pixel_mean: Sequence[float] | None = None,
        pixel_std: Sequence[float] | None = None,
        **kwargs,
    ):
        kwargs.setdefault("name", "resnet")
        pixels = channels, pixel_mean, pixel_std, drop_path, synchronized
        super().__init__(image_size, depths, widths, stem_width, *pixels, **kwargs)
        self.stem_stride = stem_stride
        self.stem = ConvStem(
            stem_width,
            stem_stride,
            synchronized=synchronized,
            name="stem",
            dtype=self.dtype_policy,
        )
        self.blocks = self._blocks(Bottleneck)
        self.build((None, *self.image_shape))


@keras.saving.register_keras_serializable(package="semivit_tf")
class WideResNet(ResidualNetwork):
    """A wide ResNet that takes pixels and returns pooled features, for small images.

    A network of depth 28 and width 2 has stages of (28 - 4) / 6 = 4 blocks with 32, 64
    and 128 channels. Rectifiers leak, as in semi-supervised learning they usually do.

    Args:
        image_size: Integer or tuple `(H, W)`.
        depths: Integers. Blocks of each stage.
        widths: Integers. Channels of each stage; the last one is D.
        channels: Integer C. 1 for grey images, 3 for colour.
        stem_width: Integer. Channels of the stem.
        negative_slope: Float. Of the rectifiers.
        drop_path: Float in [0, 1). Rate of the last block; it grows linearly from 0.
        synchronized: Bool. Whether replicas normalise by the images of all of them.
        pixel_mean: See `PixelBackbone`.
        pixel_std: See `PixelBackbone`.

    Reference:
        Zagoruyko and Komodakis, Wide Residual Networks, 2016.
    """

    arguments = (*ResidualNetwork.arguments, "negative_slope")

    def __init__(
        self,
        image_size: int | tuple[int, int],
        depths: Sequence[int],
        widths: Sequence[int],
        *,
        channels: int = 3,
        stem_width: int = 16,
        negative_slope: float = 0.1,
        drop_path: float = 0.0,
        synchronized: bool = False,
        pixel_mean: Sequence[float] | None = None,
        pixel_std: Sequence[float] | None = None,
        **kwargs,
    ):
        kwargs.setdefault("name", "wide_resnet")
        pixels = channels, pixel_mean, pixel_std, drop_path, synchronized
        super().__init__(image_size, depths, widths, stem_width, *pixels, **kwargs)
        self.negative_slope = negative_slope
        self.stem = CenteredConv2D(stem_width, 3, name="stem", dtype=self.dtype_policy)
        self.blocks = self._blocks(self._block)
        self.norm = BatchNorm(
            synchronized=synchronized, name="norm", dtype=self.dtype_policy
        )
        self.build((None, *self.image_shape))

    def _block(self, width, stride, first, **options):
        slope = self.negative_slope
        return PreActivationBlock(width, stride, negative_slope=slope, **options)

    def build(self, input_shape):
        super().build(input_shape)
        self.norm.build((None, None, None, self.width))

    def begun(self, images, training):
        return self.stem(images)

    def finished(self, features, training):
        normal = self.norm(features, training=training)
        return ops.leaky_relu(normal, self.negative_slope)
