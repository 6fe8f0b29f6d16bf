"""ConvNeXt, a convolutional network, from pixels to one feature vector per image."""

from collections.abc import Sequence

import keras
import numpy as np
from keras import ops

from semivit_tf.layers.convnext_block import ConvNeXtBlock
from semivit_tf.layers.layer_norm import LayerNorm
from semivit_tf.layers.pixel_normalization import (
    PixelNormalization,
    default_pixel_statistics,
)

CONVNEXT_SIZES = {
    "convnext_tiny": {"depths": (3, 3, 9, 3), "widths": (96, 192, 384, 768)},
    "convnext_small": {"depths": (3, 3, 27, 3), "widths": (96, 192, 384, 768)},
    "convnext_base": {"depths": (3, 3, 27, 3), "widths": (128, 256, 512, 1024)},
}


@keras.saving.register_keras_serializable(package="semivit_tf")
class ConvNeXt(keras.Model):
    """A ConvNeXt that takes pixels and returns pooled features.

    The stem cuts the image into patches; each later stage halves its rows and columns.
    Features are averaged over all positions, then normalised. Images of another size
    than `image_size` are accepted.

    Args:
        image_size: Integer or tuple `(H, W)`, multiples of the product of all strides.
        depths: Integers. Blocks of each stage.
        widths: Integers. Channels of each stage; the last one is D.
        channels: Integer C. 1 for grey images, 3 for colour.
        stem_patch: Integer. Side and stride of the stem's convolution; less than 4
            for small images.
        drop_path: Float in [0, 1). Rate of the last block; it grows linearly from 0.
        layer_scale: Positive float. Factor on the branches of all blocks, at the start.
        pixel_mean: Floats in [0, 1] a channel. Defaults to ImageNet's for colour and
            0.5 otherwise.
        pixel_std: Floats a channel, likewise.

    Reference:
        Liu et al., A ConvNet for the 2020s, 2022.
    """

    def __init__(
        self,
        image_size: int | tuple[int, int],
        depths: Sequence[int],
        widths: Sequence[int],
        *,
        channels: int = 3,
        stem_patch: int = 4,
        drop_path: float = 0.0,
        layer_scale: float = 1e-6,
        pixel_mean: Sequence[float] | None = None,
        pixel_std: Sequence[float] | None = None,
        **kwargs,
    ):
        kwargs.setdefault("name", "convnext")
        kwargs.setdefault("autocast", False)  # pixels reach the first layer unrounded
        super().__init__(**kwargs)
        size = (image_size,) * 2 if isinstance(image_size, int) else tuple(image_size)
        depths, widths = tuple(depths), tuple(widths)
        self._check(size, depths, widths, stem_patch)
        if not 0 <= drop_path < 1:
            raise ValueError(
                f"`drop_path` should be in [0, 1). Received: drop_path={drop_path}"
            )
        default_mean, default_std = default_pixel_statistics(channels)

        self.image_size = size
        self.depths = depths
        self.widths = widths
        self.channels = channels
        self.stem_patch = stem_patch
        self.drop_path = drop_path
        self.layer_scale = layer_scale
        self.pixel_mean = tuple(default_mean if pixel_mean is None else pixel_mean)
        self.pixel_std = tuple(default_std if pixel_std is None else pixel_std)

        # === Layers ===
        self.normalization = PixelNormalization(
            self.pixel_mean,
            self.pixel_std,
            name="normalization",
            dtype=self.dtype_policy,
        )
        self.stem = self._strided(widths[0], stem_patch, "stem")
        self.stem_norm = self._norm("stem_norm")
        # Flat lists: `.keras` files (Keras 3.15) leave out layers in nested lists.
        later = range(1, len(widths))
        self.downsample_norms = [self._norm(f"downsample{i}_norm") for i in later]
        self.downsamples = [
            self._strided(widths[i], 2, f"downsample{i}") for i in later
        ]
        self.blocks = self._blocks()
        self.norm = self._norm("norm")
        self.build((None, *self.image_shape))

    @staticmethod
    def _check(size, depths, widths, stem_patch):
        if len(depths) != len(widths) or not depths or min(*depths, *widths) < 1:
            raise ValueError(
                "`depths` and `widths` should have one positive integer per stage. "
                f"Received: depths={depths}, widths={widths}"
            )
        stride = stem_patch * 2 ** (len(depths) - 1)
        if stem_patch < 1 or size[0] % stride or size[1] % stride:
            raise ValueError(
                "`image_size` should be a multiple of the product of the strides, "
                f"stem_patch * 2 ** (stages - 1) = {stride}. Received: "
                f"image_size={size}, stem_patch={stem_patch}"
            )

    def _strided(self, width, side, name):
        return keras.layers.Conv2D(
            width,
            side,
            strides=side,
            kernel_initializer=keras.initializers.RandomNormal(stddev=0.02),
            name=name,
            dtype=self.dtype_policy,
        )

    def _blocks(self):
        rates = iter(np.linspace(0, self.drop_path, sum(self.depths)))
        return [
            ConvNeXtBlock(
                drop_path=float(next(rates)),
                layer_scale=self.layer_scale,
                kernel_initializer=keras.initializers.RandomNormal(stddev=0.02),
                name=f"stage{stage}_block{index}",
                dtype=self.dtype_policy,
            )
            for stage, depth in enumerate(self.depths)
            for index in range(depth)
        ]

    def _norm(self, name):
        return LayerNorm(name=name, dtype=self.dtype_policy)

    @property
    def image_shape(self):
        """The shape `(H, W, C)` of the images that the model is made for."""
        return (*self.image_size, self.channels)

    @property
    def width(self):
        """The number of features D."""
        return self.widths[-1]

    def stages(self):
        """Returns for each stage the layers before its blocks, and its blocks."""
        entries = [
            [self.stem, self.stem_norm],
            *map(list, zip(self.downsample_norms, self.downsamples, strict=True)),
        ]
        ends = np.cumsum(self.depths).tolist()
        return [
            (entry, self.blocks[end - depth : end])
            for entry, depth, end in zip(entries, self.depths, ends, strict=True)
        ]

    def build(self, input_shape):
        shape = (None, *self.image_shape)
        for entry, blocks in self.stages():
            for layer in entry:
                layer.build(shape)
                shape = layer.compute_output_shape(shape)
            for block in blocks:
                block.build(shape)
        self.norm.build((None, self.width))
        self.built = True

    def call(self, images, training=False):
        features = self.normalization(images)
        for entry, blocks in self.stages():
            for layer in entry:
                features = layer(features)
            for block in blocks:
                features = block(features, training=training)
        return self.norm(ops.mean(features, axis=(1, 2)))

    def compute_output_shape(self, input_shape):
        return (input_shape[0], self.width)

    def layer_groups(self):
        """Returns trainable variables in groups from pixels to features.

        As in published ConvNeXt code: the stem, then up to three blocks of a stage
        each, the first ones with the layers before them. For depths 3, 3, 27, 3 that is
        1 + 12 groups. The last norm is in none: it learns as the head does.
        """
        groups = []
        for number, (entry, blocks) in enumerate(self.stages()):
            if number == 0:
                groups.append(entry)
            for start in range(0, len(blocks), 3):
                leading = entry if number > 0 and start == 0 else []
                groups.append([*leading, *blocks[start : start + 3]])
        return [
            [variable for layer in group for variable in layer.trainable_variables]
            for group in groups
        ]

    def get_config(self):
        config = super().get_config()
        names = (
            "image_size depths widths channels stem_patch drop_path layer_scale "
            "pixel_mean pixel_std"
        )
        return {**config, **{name: getattr(self, name) for name in names.split()}}
