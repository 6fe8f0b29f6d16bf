"""Conformer, two streams: from pixels to a convolutional and a transformer feature."""

from collections.abc import Sequence

import keras
import numpy as np
from keras import ops

from semivit_tf.backbones.pixel_backbone import (
    PixelBackbone,
    block_strides,
    check_stages,
)
from semivit_tf.layers.conv_stem import ConvStem
from semivit_tf.layers.fused_block import MiddleFusedBlock
from semivit_tf.layers.layer_norm import LayerNorm
from semivit_tf.layers.patch_embedding import PatchEmbedding
from semivit_tf.layers.transformer_block import TransformerBlock

_SHARED = {"patch_size": 16, "depths": (4, 4, 4)}
CONFORMER_SIZES = {
    "conformer_tiny": {
        **_SHARED,
        "width": 384,
        "heads": 6,
        "widths": (64, 128, 256),
    },
    "conformer_small": {
        **_SHARED,
        "width": 384,
        "heads": 6,
        "widths": (256, 512, 1024),
    },
    "conformer_base": {
        **_SHARED,
        "width": 576,
        "heads": 9,
        "widths": (384, 768, 1536),
    },
}


@keras.saving.register_keras_serializable(package="semivit_tf")
class Conformer(PixelBackbone):
    """A convolutional and a transformer stream that take pixels and talk to each other.

    Both start from one stem. All blocks but the first are a `MiddleFusedBlock`. The
    features are the mean of the last map, and the class token after a norm. There is no
    table of positions: the map tells the tokens where they are. Images of another size
    than `image_size` are accepted as long as the patch divides them.

    Args:
        image_size: Integer or tuple `(H, W)`.
        patch_size: Integer P, a multiple of the stride of the stem and all stages:
            pixels on a side of a patch token.
        width: Integer D. Channels of a token.
        heads: Integer that divides `width`.
        depths: Integers. Blocks of each stage of the convolutional stream.
        widths: Integers. Channels of each of its stages; the last one is the number of
            its features.
        mlp_ratio: Float. Hidden width of a feed-forward part over `width`.
        channels: Integer C. 1 for grey images, 3 for colour.
        stem_width: Integer. Channels of the stem.
        stem_stride: See `ConvStem`; 1 or 2 for small images.
        drop_path: Float in [0, 1). Rate of the last transformer block; it grows
            linearly from 0.
        synchronized: Bool. Whether replicas normalise by the images of all of them.
        pixel_mean: See `PixelBackbone`.
        pixel_std: See `PixelBackbone`.

    Reference:
        Peng et al., Conformer: Local Features Coupling Global Representations, 2021.
    """

    arguments: tuple[str, ...] = (
        *("patch_size", "width", "heads", "depths", "widths", "mlp_ratio"),
        *("stem_width", "stem_stride"),
    )
    fused_block = MiddleFusedBlock
    last_stride = 2
    separate = False

    def __init__(
        self,
        image_size: int | tuple[int, int],
        patch_size: int,
        width: int,
        heads: int,
        depths: Sequence[int],
        widths: Sequence[int],
        *,
        mlp_ratio: float = 4.0,
        channels: int = 3,
        stem_width: int = 64,
        stem_stride: int = 4,
        drop_path: float = 0.0,
        synchronized: bool = False,
        pixel_mean: Sequence[float] | None = None,
        pixel_std: Sequence[float] | None = None,
        **kwargs,
    ):
        kwargs.setdefault("name", "conformer")
        depths, widths = check_stages(depths, widths)
        pixels = channels, pixel_mean, pixel_std, drop_path, synchronized
        super().__init__(image_size, patch_size, *pixels, **kwargs)
        self.patch_size = patch_size
        self.width = width
        self.heads = heads
        self.depths = depths
        self.widths = widths
        self.mlp_ratio = mlp_ratio
        self.stem_width = stem_width
        self.stem_stride = stem_stride
        self._make_layers()
        self.build((None, *self.image_shape))

    # === Layers ===

    def make_stem(self):
        """Makes the layer that both streams start from."""
        return ConvStem(
            self.stem_width,
            self.stem_stride,
            synchronized=self.synchronized,
            name="stem",
            dtype=self.dtype_policy,
        )

    def strides(self):
        """Returns the stride of each block of the convolutional stream."""
        return block_strides(self.depths)

    def _ratios(self):
        """Returns for each block the places of the map on a side of a patch."""
        strides = self.stem_stride * np.cumprod(self.strides())
        if any(self.patch_size % stride for stride in strides):
            raise ValueError(
                "`patch_size` should be a multiple of the stride of the stem and all "
                f"stages, {strides[-1]}. Received: patch_size={self.patch_size}"
            )
        return [self.patch_size // int(stride) for stride in strides]

    def _make_layers(self):
        shared = {"dtype": self.dtype_policy}
        ratios, strides = self._ratios(), self.strides()
        rates = np.linspace(0, self.drop_path, len(strides)).tolist()
        widths = np.repeat(self.widths, self.depths).tolist()
        self.stem = self.make_stem()
        # The variance of a convolution's kernel before a rectifier, by its outputs.
        deviation = (2.0 / (self.width * ratios[0] ** 2)) ** 0.5
        self.patch_embedding = PatchEmbedding(
            ratios[0],
            self.width,
            kernel_initializer=keras.initializers.RandomNormal(stddev=deviation),
            name="patch_embedding",
            **shared,
        )
        self.conv_block = self.fused_block.conv_block(
            *(widths[0], 1, True),
            synchronized=self.synchronized,
            name="conv_block",
            **shared,
        )
        self.transformer_block = TransformerBlock(
            self.heads,
            mlp_ratio=self.mlp_ratio,
            kernel_initializer=keras.initializers.RandomNormal(stddev=0.02),
            name="transformer_block",
            **shared,
        )
        numbers = range(1, len(strides))
        self.blocks = [
            self.fused_block(
                *(widths[number], ratios[number], self.heads),
                stride=strides[number],
                last_stride=self.last_stride if number == numbers[-1] else 1,
                mlp_ratio=self.mlp_ratio,
                drop_path=rates[number],
                separate=self.separate,
                synchronized=self.synchronized,
                name=f"block{number + 1}",
                **shared,
            )
            for number in numbers
        ]
        self.norm = LayerNorm(1e-5, name="norm", **shared)

    def build(self, input_shape):
        self.stem.build((None, *self.image_shape))
        features = self.stem.compute_output_shape((None, *self.image_shape))
        self.patch_embedding.build(features)
        rows, columns = (side // self.patch_size for side in self.image_size)
        tokens = (None, 1 + rows * columns, self.width)
        self.class_token = self.add_weight(
            shape=(1, self.width),
            initializer=keras.initializers.RandomNormal(stddev=0.02),
            name="class_token",
        )
        self.conv_block.build(features)
        self.transformer_block.build(tokens)
        features = self.conv_block.compute_output_shape(features)
        for block in self.blocks:
            block.build(features, tokens)
            features, tokens = block.compute_output_shape(features, tokens)
        self.norm.build(tokens)
        self.built = True

    # === Features ===

    def patch_tokens(self, features):
        """Returns the patch tokens `[B, N, D]` of the stem's map."""
        return self.patch_embedding(features)

    def first_map_and_tokens(self, images, training=False):
        """Returns what the first block makes: a map, and all tokens `[B, 1 + N, D]`."""
        features = self.stem(self.normalization(images), training=training)
        tokens = self.patch_tokens(features)
        first = ops.cast(self.class_token, tokens.dtype)[None]
        first = ops.broadcast_to(first, (ops.shape(tokens)[0], 1, self.width))
        tokens = ops.concatenate([first, tokens], axis=1)
        return (
            self.conv_block(features, training=training),
            self.transformer_block(tokens, training=training),
        )

    def call(self, images, training=False):
        features, tokens = self.first_map_and_tokens(images, training)
        for block in self.blocks:
            features, tokens = block(features, tokens, training=training)
        return ops.mean(features, axis=(1, 2)), self.norm(tokens[:, 0])

    def compute_output_shape(self, input_shape):
        return (input_shape[0], self.widths[-1]), (input_shape[0], self.width)

    def layer_groups(self):
        """Returns trainable variables in groups: stem and tokens, then each block."""
        first = [self.class_token, *self.stem.trainable_variables]
        first += self.patch_embedding.trainable_variables
        block = [
            *self.conv_block.trainable_variables,
            *self.transformer_block.trainable_variables,
        ]
        return [first, block, *(block.trainable_variables for block in self.blocks)]
