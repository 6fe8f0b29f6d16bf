"""Masked autoencoding: learn features by rebuilding the hidden part of an image."""

import keras
from keras import ops

from semivit_tf.backbones.vit import ViT
from semivit_tf.layers.layer_norm import LayerNorm
from semivit_tf.layers.patch_embedding import patchify, unpatchify
from semivit_tf.layers.position_embedding import PositionEmbedding
from semivit_tf.layers.token_masking import (
    gather_tokens,
    random_token_order,
    token_mask,
    visible_count,
)
from semivit_tf.layers.transformer_block import TransformerBlock
from semivit_tf.losses.masked_reconstruction import (
    masked_mean,
    masked_patch_error,
    normalize_patches,
    patch_statistics,
)
from semivit_tf.methods.train_step import Method


@keras.saving.register_keras_serializable(package="semivit_tf")
class MAEDecoder(keras.layers.Layer):
    """Rebuilds all patches from the encoded visible ones.

    Args:
        grid: Tuple `(rows, columns)` of patches.
        outputs: Integer. Values in a patch, P * P * C.
        width: Integer. Channels of a decoder token.
        depth: Integer. Number of blocks.
        heads: Integer.
    """

    def __init__(self, grid, outputs, width, depth, heads, **kwargs):
        super().__init__(**kwargs)
        self.grid = tuple(grid)
        self.outputs = outputs
        self.width = width
        self.depth = depth
        self.heads = heads
        shared = {"dtype": self.dtype_policy}
        self.embedding = keras.layers.Dense(width, name="embedding", **shared)
        self.positions = PositionEmbedding(
            self.grid, kind="sincos", name="positions", **shared
        )
        self.blocks = [
            TransformerBlock(heads, name=f"block{index}", **shared)
            for index in range(depth)
        ]
        self.norm = LayerNorm(name="norm", **shared)
        self.prediction = keras.layers.Dense(outputs, name="prediction", **shared)

    def build(self, input_shape):
        tokens = (None, self.grid[0] * self.grid[1], self.width)
        self.embedding.build(input_shape)
        self.positions.build(tokens)
        self.mask_token = self.add_weight(
            shape=(1, self.width),
            initializer=keras.initializers.RandomNormal(stddev=0.02),
            name="mask_token",
        )
        for layer in (*self.blocks, self.norm, self.prediction):
            layer.build(tokens)

    def call(self, encoded, restore, training=False):
        tokens = self.embedding(encoded)  # [B, 1 + M, D]
        batch, count = ops.shape(restore)[0], restore.shape[1]
        hidden = count - (tokens.shape[1] - 1)
        filler = ops.cast(self.mask_token, tokens.dtype)[None]
        filler = ops.broadcast_to(filler, (batch, hidden, self.width))
        patches = ops.concatenate([tokens[:, 1:], filler], axis=1)
        patches = self.positions(gather_tokens(patches, restore))
        first = tokens[:, :1] + ops.cast(self.positions.class_row(), tokens.dtype)
        tokens = ops.concatenate([first, patches], axis=1)
        for block in self.blocks:
            tokens = block(tokens, training=training)
        return self.prediction(self.norm(tokens, training=training))[:, 1:]

    def compute_output_shape(self, encoded_shape, restore_shape):
        return (encoded_shape[0], self.grid[0] * self.grid[1], self.outputs)

    def get_config(self):
        names = ("grid", "outputs", "width", "depth", "heads")
        config = {name: getattr(self, name) for name in names}
        return {**super().get_config(), **config}


@keras.saving.register_keras_serializable(package="semivit_tf")
class MAE(Method):
    """A ViT that sees a part of each image and a small decoder that rebuilds the rest.

    Batches are images `[B, H, W, C]`, alone or with labels, which are not looked at.
    Only visible patches go through the encoder. `model(images)` returns the predicted
    patches; after training, `model.backbone` is what stays.

    Args:
        backbone: `ViT`. Made with `position_embedding="sincos"` and
            `initialization="xavier_uniform"` it is the published encoder.
        mask_ratio: Float in [0, 1). Share of patches that are hidden.
        decoder_width: Integer.
        decoder_depth: Integer.
        decoder_heads: Integer.
        normalize_targets: Bool. Whether each target patch gets zero mean and unit
            variance first.
        seed: Optional integer for the masks.

    Reference:
        He et al., Masked Autoencoders Are Scalable Vision Learners, 2022.
    """

    def __init__(
        self,
        backbone,
        *,
        mask_ratio=0.75,
        decoder_width=512,
        decoder_depth=8,
        decoder_heads=16,
        normalize_targets=True,
        seed=None,
        **kwargs,
    ):
        kwargs.setdefault("name", "mae")
        super().__init__(**kwargs)
        if not isinstance(backbone, ViT):
            raise ValueError(
                "`backbone` should be a ViT, because patches are hidden before its "
                f"blocks. Received: {type(backbone).__name__}"
            )
        tokens = backbone.grid[0] * backbone.grid[1]
        if not 0 <= mask_ratio < 1 or visible_count(tokens, mask_ratio) == 0:
            raise ValueError(
                "`mask_ratio` should be in [0, 1) and leave a visible patch. "
                f"Received: mask_ratio={mask_ratio} with {tokens} patches"
            )
        if normalize_targets and backbone.patch_size**2 * backbone.channels == 1:
            raise ValueError(
                "`normalize_targets` needs patches of more than one value. Received: "
                f"patch_size={backbone.patch_size} on grey images"
            )
        self.backbone = backbone
        self.mask_ratio = mask_ratio
        self.decoder_width = decoder_width
        self.decoder_depth = decoder_depth
        self.decoder_heads = decoder_heads
        self.normalize_targets = normalize_targets
        self.seed = seed
        self.visible = visible_count(tokens, mask_ratio)
        self.seed_generator = keras.random.SeedGenerator(seed)
        self.decoder = MAEDecoder(
            backbone.grid,
            backbone.patch_size**2 * backbone.channels,
            decoder_width,
            decoder_depth,
            decoder_heads,
            dtype=self.dtype_policy,
            name="decoder",
        )
        self.decoder.build((None, 1 + self.visible, backbone.width))
        self.built = True

    normalized = "tokens"  # each by the last norm, whatever the backbone's pooling

    def encode(self, images, shuffle, training=False):
        """Encodes the first `visible` patches of an order: `[B, 1 + M, D]`."""
        tokens = self.backbone.patch_tokens(images)
        tokens = gather_tokens(tokens, shuffle[:, : self.visible])
        tokens = self.backbone.prepend_class_token(tokens)
        tokens = self.backbone.transform(tokens, training=training)
        return self.backbone.norm(tokens, training=training)

    def patches(self, images):
        """Returns the normalised pixels of all patches: `[B, N, P * P * C]`."""
        pixels = ops.cast(self.backbone.normalization(images), "float32")
        return patchify(pixels, self.backbone.patch_size)

    def targets(self, images):
        """Returns what the decoder should predict: `[B, N, P * P * C]`."""
        patches = self.patches(images)
        return normalize_patches(patches) if self.normalize_targets else patches

    def call(self, images, training=False):
        shuffle, restore = self.draw_order(images)
        encoded = self.encode(images, shuffle, training)
        return self.decoder(encoded, restore, training=training)

    def draw_order(self, images):
        """Draws which patches are visible; see `random_token_order`."""
        tokens = self.backbone.grid[0] * self.backbone.grid[1]
        return random_token_order(
            ops.shape(images)[0], tokens, seed=self.seed_generator
        )

    def reconstruction_loss(self, images, shuffle, restore, training=False):
        """Returns the mean error over all hidden patches of the batch."""
        encoded = self.encode(images, shuffle, training)
        decoded = self.decoder(encoded, restore, training=training)
        error = masked_patch_error(self.targets(images), decoded)
        return masked_mean(error, token_mask(restore, self.visible))

    def pictures(self, images):
        """Shows what the model sees of images and what it makes of that.

        Args:
            images: Tensor `[B, H, W, C]`.

        Returns:
            Tensor `[B, H, 3 W, C]` of pixels in [0, 255]: the image, the image with
            hidden patches in grey, and with hidden patches rebuilt. Where targets are
            normalised, a rebuilt patch is given the true one's mean and deviation.
        """
        tokens = self.backbone.grid[0] * self.backbone.grid[1]
        # The same patches each time, so that pictures can be compared.
        shuffle, restore = random_token_order(ops.shape(images)[0], tokens, seed=0)
        rebuilt = self.decoder(self.encode(images, shuffle), restore)
        rebuilt, patches = ops.cast(rebuilt, "float32"), self.patches(images)
        if self.normalize_targets:
            mean, deviation = patch_statistics(patches)
            rebuilt = rebuilt * deviation + mean
        hidden = token_mask(restore, self.visible)[:, :, None]
        shown = []
        for other in (patches, ops.zeros_like(patches), rebuilt):
            joined = patches + hidden * (other - patches)
            pixels = unpatchify(joined, self.backbone.patch_size, self.backbone.grid)
            shown.append(self.backbone.normalization.to_pixels(pixels))
        return ops.clip(ops.concatenate(shown, axis=2), 0.0, 255.0)

    def objective(self, batch):
        images = keras.utils.unpack_x_y_sample_weight(batch)[0]
        order = self.draw_order(images)
        return self.reconstruction_loss(images, *order, training=True), {}

    def test_step(self, batch):
        images = keras.utils.unpack_x_y_sample_weight(batch)[0]
        loss = self.reconstruction_loss(images, *self.draw_order(images))
        return self.report({"loss": (loss, ops.shape(images)[0])})

    def get_config(self):
        names = (
            "mask_ratio decoder_width decoder_depth decoder_heads "
            "normalize_targets seed"
        )
        return {
            **super().get_config(),
            **{name: getattr(self, name) for name in names.split()},
            "backbone": keras.saving.serialize_keras_object(self.backbone),
        }

    @classmethod
    def from_config(cls, config):
        config = dict(config)
        config["backbone"] = keras.saving.deserialize_keras_object(config["backbone"])
        return cls(**config)
