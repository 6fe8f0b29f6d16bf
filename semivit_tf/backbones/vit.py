"""The Vision Transformer, from pixels to one feature vector per image."""

import keras
import numpy as np
from keras import ops

from semivit_tf.layers.layer_norm import LayerNorm
from semivit_tf.layers.patch_embedding import PatchEmbedding
from semivit_tf.layers.pixel_normalization import (
    PixelNormalization,
    default_pixel_statistics,
)
from semivit_tf.layers.position_embedding import PositionEmbedding
from semivit_tf.layers.transformer_block import TransformerBlock

VIT_SIZES = {
    "vit_tiny_patch16": {"patch_size": 16, "width": 192, "depth": 12, "heads": 3},
    "vit_small_patch16": {"patch_size": 16, "width": 384, "depth": 12, "heads": 6},
    "vit_base_patch16": {"patch_size": 16, "width": 768, "depth": 12, "heads": 12},
    "vit_large_patch16": {"patch_size": 16, "width": 1024, "depth": 24, "heads": 16},
    "vit_huge_patch14": {
        "patch_size": 14,
        "width": 1280,
        "depth": 32,
        "heads": 16,
        "pooling": "class_token",
    },
    "vit_huge_patch16": {
        "patch_size": 16,
        "width": 1280,
        "depth": 32,
        "heads": 16,
        "pooling": "class_token",
    },
}

# Initial weights: as in supervised ViT code, which truncates the normal distribution at
# 100 deviations (that is, not at all), or as in MAE.
INITIALIZATIONS = {
    "truncated_normal": lambda: keras.initializers.RandomNormal(stddev=0.02),
    "xavier_uniform": keras.initializers.GlorotUniform,
}


@keras.saving.register_keras_serializable(package="semivit_tf")
class ViT(keras.Model):
    """A Vision Transformer that takes pixels and returns pooled features.

    Images of another size than `image_size` are accepted as long as the patch
    divides them: the position table is resized to their grid.

    Args:
        image_size: Integer or tuple `(H, W)`.
        patch_size: Integer P that divides both.
        width: Integer D. Channels of a token.
        depth: Integer. Number of blocks.
        heads: Integer that divides `width`.
        mlp_ratio: Float. Hidden width of a block's feed-forward part over `width`.
        channels: Integer C. 1 for grey images, 3 for colour.
        pooling: `"mean"`: patch tokens are averaged, then normalised (the "global
            pool" of fine-tuning code). `"class_token"`: tokens are normalised, then
            the class token is taken.
        position_embedding: `"learned"` or `"sincos"` (fixed).
        drop_path: Float in [0, 1). Rate of the last block; it grows linearly from 0.
        initialization: `"truncated_normal"` or `"xavier_uniform"` (as MAE starts).
        rematerialize: Bool. Whether training computes each block twice instead of
            keeping its activations: less memory, a third more work.
        pixel_mean: Floats in [0, 1] a channel. Defaults to ImageNet's for colour and
            0.5 otherwise.
        pixel_std: Floats a channel, likewise.

    Reference:
        Dosovitskiy et al., An Image is Worth 16x16 Words, 2021.
    """

    def __init__(
        self,
        image_size,
        patch_size,
        width,
        depth,
        heads,
        *,
        mlp_ratio=4.0,
        channels=3,
        pooling="mean",
        position_embedding="learned",
        drop_path=0.0,
        initialization="truncated_normal",
        rematerialize=False,
        pixel_mean=None,
        pixel_std=None,
        **kwargs,
    ):
        kwargs.setdefault("name", "vit")
        kwargs.setdefault("autocast", False)  # pixels reach the first layer unrounded
        super().__init__(**kwargs)
        size = (image_size,) * 2 if isinstance(image_size, int) else tuple(image_size)
        self._check(size, patch_size, width, heads, pooling, initialization)
        if not 0 <= drop_path < 1:
            raise ValueError(
                f"`drop_path` should be in [0, 1). Received: drop_path={drop_path}"
            )
        default_mean, default_std = default_pixel_statistics(channels)

        self.image_size = size
        self.patch_size = patch_size
        self.width = width
        self.depth = depth
        self.heads = heads
        self.mlp_ratio = mlp_ratio
        self.channels = channels
        self.pooling = pooling
        self.position_embedding = position_embedding
        self.drop_path = drop_path
        self.initialization = initialization
        self.rematerialize = rematerialize
        self.pixel_mean = tuple(default_mean if pixel_mean is None else pixel_mean)
        self.pixel_std = tuple(default_std if pixel_std is None else pixel_std)
        self._make_layers()
        self.build((None, *self.image_shape))

    def _make_layers(self):
        shared = {"dtype": self.dtype_policy}
        initializer = INITIALIZATIONS[self.initialization]
        xavier = self.initialization == "xavier_uniform"
        self.normalization = PixelNormalization(
            self.pixel_mean, self.pixel_std, name="normalization", **shared
        )
        self.patch_embedding = PatchEmbedding(
            self.patch_size,
            self.width,
            kernel_initializer=initializer() if xavier else None,
            name="patch_embedding",
            **shared,
        )
        self.positions = PositionEmbedding(
            self.grid, kind=self.position_embedding, name="positions", **shared
        )
        self.blocks = [
            TransformerBlock(
                self.heads,
                mlp_ratio=self.mlp_ratio,
                drop_path=float(rate),
                kernel_initializer=initializer(),
                rematerialize=self.rematerialize,
                name=f"block{index}",
                **shared,
            )
            for index, rate in enumerate(np.linspace(0, self.drop_path, self.depth))
        ]
        self.norm = LayerNorm(name="norm", **shared)

    @staticmethod
    def _check(size, patch_size, width, heads, pooling, initialization):
        if size[0] % patch_size or size[1] % patch_size:
            raise ValueError(
                "`patch_size` should divide `image_size`. Received: "
                f"image_size={size}, patch_size={patch_size}"
            )
        if width % heads:
            raise ValueError(
                f"`heads` should divide `width`. Received: width={width}, heads={heads}"
            )
        if pooling not in ("mean", "class_token"):
            raise ValueError(
                '`pooling` should be "mean" or "class_token". '
                f"Received: pooling={pooling!r}"
            )
        if initialization not in INITIALIZATIONS:
            raise ValueError(
                f"`initialization` should be one of {sorted(INITIALIZATIONS)}. "
                f"Received: initialization={initialization!r}"
            )

    @property
    def image_shape(self):
        """The shape `(H, W, C)` of the images that the model is made for."""
        return (*self.image_size, self.channels)

    @property
    def grid(self):
        """The rows and columns of patches in an image of `image_size`."""
        return tuple(side // self.patch_size for side in self.image_size)

    def build(self, input_shape):
        tokens = (None, self.grid[0] * self.grid[1], self.width)
        self.patch_embedding.build((None, *self.image_shape))
        self.positions.build(tokens)
        self.class_token = self.add_weight(
            shape=(1, self.width),
            initializer=keras.initializers.RandomNormal(stddev=0.02),
            name="class_token",
        )
        for block in self.blocks:
            block.build(tokens)
        self.norm.build(tokens)
        self.built = True

    def patch_tokens(self, images):
        """Returns the embedded patches with their positions added: `[B, N, D]`."""
        height, width = images.shape[1:3]
        if (
            None in (height, width)
            or height % self.patch_size
            or width % self.patch_size
        ):
            raise ValueError(
                "Images should have sides that are known and multiples of the patch "
                f"size {self.patch_size}. Received: shape {tuple(images.shape)}"
            )
        grid = (height // self.patch_size, width // self.patch_size)
        tokens = self.patch_embedding(self.normalization(images))
        return self.positions(tokens, grid=grid)

    def prepend_class_token(self, tokens):
        """Puts the class token, with its position, in front: `[B, 1 + N, D]`."""
        first = ops.cast(self.class_token + self.positions.class_row(), tokens.dtype)
        first = ops.broadcast_to(
            first[None], (ops.shape(tokens)[0], 1, tokens.shape[-1])
        )
        return ops.concatenate([first, tokens], axis=1)

    def transform(self, tokens, training=False):
        """Applies all blocks to tokens `[B, N, D]`, without the last norm."""
        for block in self.blocks:
            tokens = block(tokens, training=training)
        return tokens

    def call(self, images, training=False):
        tokens = self.prepend_class_token(self.patch_tokens(images))
        tokens = self.transform(tokens, training=training)
        if self.pooling == "class_token":
            # The norm acts on each token alone, so only the class token needs it.
            return self.norm(tokens[:, 0])
        return self.norm(ops.mean(tokens[:, 1:], axis=1))

    def class_attention(self, images):
        """Returns the class token's attention in the last block: `[B, heads, N]`."""
        tokens = self.prepend_class_token(self.patch_tokens(images))
        for block in self.blocks[:-1]:
            tokens = block(tokens)
        last = self.blocks[-1]
        attention, _ = last.attention.attend(last.norm1(tokens))
        return attention[:, :, 0, 1:]

    def compute_output_shape(self, input_shape):
        return (input_shape[0], self.width)

    def layer_groups(self):
        """Returns trainable variables in groups from pixels to features.

        The groups are the embeddings, then each block. Layer-wise learning rates follow
        them. Variables in no group learn as the head does.
        """
        first = [self.class_token, *self.positions.trainable_variables]
        first += self.patch_embedding.trainable_variables
        return [first] + [block.trainable_variables for block in self.blocks]

    def get_config(self):
        config = super().get_config()
        names = (
            "image_size patch_size width depth heads mlp_ratio channels pooling "
            "position_embedding drop_path initialization rematerialize pixel_mean "
            "pixel_std"
        )
        return {**config, **{name: getattr(self, name) for name in names.split()}}
