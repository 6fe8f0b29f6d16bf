"""The network of a masked autoencoder: a ViT on visible patches, and a decoder."""

import keras
import numpy as np
from keras import ops

from semivit_tf.backbones.vit import ViT
from semivit_tf.layers.layer_norm import LayerNorm
from semivit_tf.layers.mae_decoder import MAEDecoder
from semivit_tf.layers.patch_embedding import patchify, unpatchify
from semivit_tf.layers.token_masking import (
    gather_tokens,
    random_token_order,
    token_mask,
    visible_count,
)
from semivit_tf.losses.masked_reconstruction import (
    masked_mean,
    masked_patch_error,
    normalize_patches,
    patch_statistics,
)


@keras.saving.register_keras_serializable(package="semivit_tf")
class MaskedAutoencoder(keras.layers.Layer):
    """Encodes the visible patches of images and predicts the pixels of all patches.

    It may be trained by itself, as in `MAE`, or beside a classifier on the same
    backbone.

    Args:
        backbone: `ViT`.
        mask_ratio: Float in [0, 1). Share of patches that are hidden.
        decoder_width: Integer.
        decoder_depth: Integer.
        decoder_heads: Integer.
        normalize_targets: Bool. Whether each target patch gets zero mean and unit
            variance first.
        own_norm: Bool. Whether the encoded tokens go through a norm that belongs to the
            autoencoder, and not through the backbone's last one, which a classifier
            with mean pooling applies to something else.
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
        own_norm=False,
        **kwargs,
    ):
        kwargs.setdefault("autocast", False)  # pixels reach the backbone unrounded
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
        self.own_norm = own_norm
        self.tokens = tokens
        self.visible = visible_count(tokens, mask_ratio)
        self.decoder = MAEDecoder(
            backbone.grid,
            backbone.patch_size**2 * backbone.channels,
            decoder_width,
            decoder_depth,
            decoder_heads,
            dtype=self.dtype_policy,
            name="decoder",
        )
        self.norm = backbone.norm
        if own_norm:
            self.norm = LayerNorm(name="norm", dtype=self.dtype_policy)
        # Not in `build`: there Keras puts this layer's own name before the names that
        # weights have in files, such as decoder/mask_token.
        encoded = (None, 1 + self.visible, backbone.width)
        for layer in (self.norm, self.decoder):
            if not layer.built:
                layer.build(encoded)
        self.built = True

    def draw_order(self, images, seed=None):
        """Draws which patches of each image are visible; see `random_token_order`."""
        return random_token_order(ops.shape(images)[0], self.tokens, seed=seed)

    def fixed_order(self, images):
        """Returns an order as `draw_order` does, the same for all images and calls."""
        shuffle = np.random.RandomState(0).permutation(self.tokens).astype("int32")
        orders = np.stack([shuffle, np.argsort(shuffle).astype("int32")])
        orders = ops.repeat(orders[:, None], ops.shape(images)[0], axis=1)
        return orders[0], orders[1]

    def encode(self, images, shuffle, training=False):
        """Encodes the first `visible` patches of an order: `[B, 1 + M, D]`."""
        tokens = self.backbone.patch_tokens(images)
        tokens = gather_tokens(tokens, shuffle[:, : self.visible])
        tokens = self.backbone.prepend_class_token(tokens)
        tokens = self.backbone.transform(tokens, training=training)
        tokens = self.backbone.without_registers(tokens)
        return self.norm(tokens, training=training)

    def call(self, images, shuffle, restore, training=False):
        """Predicts all patches `[B, N, P * P * C]` from those that are visible."""
        encoded = self.encode(images, shuffle, training)
        return self.decoder(encoded, restore, training=training)

    def compute_output_shape(self, images_shape, shuffle_shape, restore_shape):
        return (images_shape[0], self.tokens, self.decoder.outputs)

    def patches(self, images):
        """Returns the normalised pixels of all patches: `[B, N, P * P * C]`."""
        pixels = ops.cast(self.backbone.normalization(images), "float32")
        return patchify(pixels, self.backbone.patch_size)

    def targets(self, images):
        """Returns what the decoder should predict: `[B, N, P * P * C]`."""
        patches = self.patches(images)
        return normalize_patches(patches) if self.normalize_targets else patches

    def reconstruction_loss(self, images, shuffle, restore, training=False):
        """Returns the mean error over all hidden patches of the batch."""
        decoded = self(images, shuffle, restore, training=training)
        error = masked_patch_error(self.targets(images), decoded)
        return masked_mean(error, token_mask(restore, self.visible))

    def pictures(self, images):
        """Shows what the network sees of images and what it makes of that.

        Args:
            images: Tensor `[B, H, W, C]`.

        Returns:
            Tensor `[B, H, 3 W, C]` of pixels in [0, 255]: the image, the image with
            hidden patches in grey, and with hidden patches rebuilt. Where targets are
            normalised, a rebuilt patch is given the true one's mean and deviation.
        """
        # The same patches each time, so that pictures can be compared.
        shuffle, restore = self.draw_order(images, seed=0)
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

    def get_config(self):
        names = (
            "mask_ratio decoder_width decoder_depth decoder_heads "
            "normalize_targets own_norm"
        )
        return {
            **super().get_config(),
            **{name: getattr(self, name) for name in names.split()},
            "backbone": keras.saving.serialize_keras_object(self.backbone),
        }

    @classmethod
    def from_config(cls, config):
        backbone = keras.saving.deserialize_keras_object(config["backbone"])
        return cls(**{**config, "backbone": backbone})
