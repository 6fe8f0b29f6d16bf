"""The Vision Transformer, from pixels to one feature vector per image."""

from collections.abc import Sequence

import keras
import numpy as np
from keras import ops

from semivit_tf.layers.layer_norm import LayerNorm
from semivit_tf.layers.patch_embedding import PatchEmbedding, for_each_image
from semivit_tf.layers.pixel_normalization import (
    PixelNormalization,
    default_pixel_statistics,
)
from semivit_tf.layers.position_embedding import PositionEmbedding
from semivit_tf.layers.transformer_block import TransformerBlock

# Initial weights: as in supervised ViT code, which truncates the normal distribution at
# 100 deviations (that is, not at all), or as in MAE.
INITIALIZATIONS = {
    "truncated_normal": lambda: keras.initializers.RandomNormal(stddev=0.02),
    "xavier_uniform": keras.initializers.GlorotUniform,
}
CHOICES = {
    "pooling": ("mean", "class_token"),
    "position_resizing": ("plain", "dinov2"),
    "initialization": INITIALIZATIONS,
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
        feed_forward: `"gelu"`, or `"swiglu"` (see `TransformerBlock`).
        layer_scale: Optional positive float. Start of learned factors on branches.
        registers: Integer. Learned tokens without positions, after the class token.
        channels: Integer C. 1 for grey images, 3 for colour.
        pooling: `"mean"`: patch tokens are averaged, then normalised (the "global
            pool" of fine-tuning code). `"class_token"`: tokens are normalised, then
            the class token is taken.
        position_embedding: `"learned"` or `"sincos"` (fixed).
        position_resizing: How the position table of a published file is resized:
            `"plain"`, or `"dinov2"`: as if the new grid were larger by 0.1, as always
            at run time; with registers by antialiasing, and at run time, too.
        drop_path: Float in [0, 1). Rate of the last block; it grows linearly from 0.
        initialization: `"truncated_normal"` or `"xavier_uniform"` (as MAE starts).
        rematerialize: Bool. Whether training computes each block twice instead of
            keeping its activations: less memory, a third more work.
        pixel_mean: Floats a channel, in [0, 1]. Default: ImageNet's for colour, or 0.5.
        pixel_std: Floats a channel, likewise.

    Reference:
        Dosovitskiy et al., An Image is Worth 16x16 Words, 2021.
        Oquab et al., DINOv2: Learning Robust Visual Features without Supervision, 2023.
        Darcet et al., Vision Transformers Need Registers, 2024.
    """

    def __init__(
        self,
        image_size: int | tuple[int, int],
        patch_size: int,
        width: int,
        depth: int,
        heads: int,
        *,
        mlp_ratio: float = 4.0,
        feed_forward: str = "gelu",
        layer_scale: float | None = None,
        registers: int = 0,
        channels: int = 3,
        pooling: str = "mean",
        position_embedding: str = "learned",
        position_resizing: str = "plain",
        drop_path: float = 0.0,
        initialization: str = "truncated_normal",
        rematerialize: bool = False,
        pixel_mean: Sequence[float] | None = None,
        pixel_std: Sequence[float] | None = None,
        **kwargs,
    ):
        kwargs.setdefault("name", "vit")
        kwargs.setdefault("autocast", False)  # pixels reach the first layer unrounded
        super().__init__(**kwargs)
        size = (image_size,) * 2 if isinstance(image_size, int) else tuple(image_size)
        default_mean, default_std = default_pixel_statistics(channels)

        self.image_size = size
        self.patch_size = patch_size
        self.width = width
        self.depth = depth
        self.heads = heads
        self.mlp_ratio = mlp_ratio
        self.feed_forward = feed_forward
        self.layer_scale = layer_scale
        self.registers = registers
        self.channels = channels
        self.pooling = pooling
        self.position_embedding = position_embedding
        self.position_resizing = position_resizing
        self.drop_path = drop_path
        self.initialization = initialization
        self.rematerialize = rematerialize
        self.pixel_mean = tuple(default_mean if pixel_mean is None else pixel_mean)
        self.pixel_std = tuple(default_std if pixel_std is None else pixel_std)
        self._check()
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
            self.grid,
            kind=self.position_embedding,
            antialias=self.position_resizing == "dinov2" and self.registers > 0,
            name="positions",
            **shared,
        )
        self.blocks = [
            TransformerBlock(
                self.heads,
                mlp_ratio=self.mlp_ratio,
                feed_forward=self.feed_forward,
                layer_scale=self.layer_scale,
                drop_path=float(rate),
                kernel_initializer=initializer(),
                rematerialize=self.rematerialize,
                name=f"block{index}",
                **shared,
            )
            for index, rate in enumerate(np.linspace(0, self.drop_path, self.depth))
        ]
        self.norm = LayerNorm(name="norm", **shared)

    def _check(self):
        height, width = self.image_size
        if height % self.patch_size or width % self.patch_size:
            raise ValueError(
                "`patch_size` should divide `image_size`. Received: "
                f"image_size={self.image_size}, patch_size={self.patch_size}"
            )
        if self.width % self.heads:
            raise ValueError(
                "`heads` should divide `width`. "
                f"Received: width={self.width}, heads={self.heads}"
            )
        if not 0 <= self.drop_path < 1:
            raise ValueError(
                f"`drop_path` should be in [0, 1). Received: drop_path={self.drop_path}"
            )
        if self.registers < 0:
            raise ValueError(
                f"`registers` should be 0 or more. Received: registers={self.registers}"
            )
        for name, choices in CHOICES.items():
            if getattr(self, name) not in choices:
                raise ValueError(
                    f"`{name}` should be one of {', '.join(sorted(choices))}. "
                    f"Received: {name}={getattr(self, name)!r}"
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
        self.register_tokens = None
        if self.registers:
            self.register_tokens = self.add_weight(
                shape=(self.registers, self.width),
                initializer=keras.initializers.RandomNormal(stddev=1e-6),
                name="register_tokens",
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
        """Puts the class token, with its position, and registers in front.

        Args:
            tokens: Tensor `[B, N, D]`.

        Returns:
            Tensor `[B, 1 + registers + N, D]`.
        """
        # Apart, so that no gradient is part of two sums; see `training/repeatable.py`.
        first = for_each_image(self.class_token, tokens)
        parts = [first + for_each_image(self.positions.class_row(), tokens)]
        if self.registers:
            parts.append(for_each_image(self.register_tokens, tokens))
        parts = [ops.cast(part, tokens.dtype) for part in parts]
        return ops.concatenate([*parts, tokens], axis=1)

    def without_registers(self, tokens):
        """Leaves out the registers that `prepend_class_token` put in."""
        if not self.registers:
            return tokens
        first, others = tokens[:, :1], tokens[:, 1 + self.registers :]
        return ops.concatenate([first, others], axis=1)

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
        return self.norm(ops.mean(tokens[:, 1 + self.registers :], axis=1))

    def class_attention(self, images):
        """Returns the class token's attention in the last block: `[B, heads, N]`."""
        tokens = self.prepend_class_token(self.patch_tokens(images))
        for block in self.blocks[:-1]:
            tokens = block(tokens)
        last = self.blocks[-1]
        attention, _ = last.attention.attend(last.norm1(tokens))
        return attention[:, :, 0, 1 + self.registers :]

    def compute_output_shape(self, input_shape):
        return (input_shape[0], self.width)

    def layer_groups(self):
        """Returns trainable variables in groups from pixels to features.

        The groups are the embeddings, then each block. Layer-wise learning rates follow
        them. Variables in no group learn as the head does.
        """
        first = [self.class_token, *self.positions.trainable_variables]
        first += self.patch_embedding.trainable_variables
        first += [self.register_tokens] if self.registers else []
        return [first] + [block.trainable_variables for block in self.blocks]

    def get_config(self):
        config = super().get_config()
        names = (
            "image_size patch_size width depth heads mlp_ratio feed_forward "
            "layer_scale registers channels pooling position_embedding "
            "position_resizing drop_path initialization rematerialize pixel_mean "
            "pixel_std"
        )
        return {**config, **{name: getattr(self, name) for name in names.split()}}
