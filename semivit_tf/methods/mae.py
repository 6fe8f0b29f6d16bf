"""Masked autoencoding: learn features by rebuilding the hidden part of an image."""

import keras
from keras import ops

from semivit_tf.methods.masked_autoencoder import MaskedAutoencoder
from semivit_tf.methods.train_step import Method


@keras.saving.register_keras_serializable(package="semivit_tf")
class MAE(Method):
    """A ViT that sees a part of each image and a small decoder that rebuilds the rest.

    Batches are images `[B, H, W, C]`, alone or with labels, which are ignored. Only
    visible patches go through the encoder. `model(images)` returns the predicted
    patches; after training, `model.backbone` is what stays.

    Args:
        backbone: `ViT`. With `position_embedding="sincos"` and
            `initialization="xavier_uniform"` it is the published encoder.
        mask_ratio: See `MaskedAutoencoder`; so are the next four.
        decoder_width: Integer.
        decoder_depth: Integer.
        decoder_heads: Integer.
        normalize_targets: Bool.
        seed: Optional integer for the masks.

    Reference:
        He et al., Masked Autoencoders Are Scalable Vision Learners, 2022.
    """

    normalized = "tokens"  # each by the last norm, whatever the backbone's pooling

    def __init__(
        self,
        backbone: keras.Model,
        *,
        mask_ratio: float = 0.75,
        decoder_width: int = 512,
        decoder_depth: int = 8,
        decoder_heads: int = 16,
        normalize_targets: bool = True,
        seed: int | None = None,
        **kwargs,
    ):
        kwargs.setdefault("name", "mae")
        super().__init__(**kwargs)
        self.seed = seed
        self.seed_generator = keras.random.SeedGenerator(seed)
        self.autoencoder = MaskedAutoencoder(
            backbone,
            mask_ratio=mask_ratio,
            decoder_width=decoder_width,
            decoder_depth=decoder_depth,
            decoder_heads=decoder_heads,
            normalize_targets=normalize_targets,
            dtype=self.dtype_policy,
            name="autoencoder",
        )
        self.built = True

    @property
    def backbone(self):
        """The encoder."""
        return self.autoencoder.backbone

    @property
    def decoder(self):
        """The decoder, which is thrown away after pre-training."""
        return self.autoencoder.decoder

    def draw_order(self, images):
        """Draws which patches are visible; see `random_token_order`."""
        return self.autoencoder.draw_order(images, seed=self.seed_generator)

    def call(self, images, training=False):
        # Served and saved networks should answer the same each time.
        draw = self.draw_order if training else self.autoencoder.fixed_order
        return self.autoencoder(images, *draw(images), training=training)

    def compute_output_shape(self, input_shape):
        return (input_shape[0], self.autoencoder.tokens, self.decoder.outputs)

    def pictures(self, images):
        """Shows what the model sees and rebuilds; see `MaskedAutoencoder.pictures`."""
        return self.autoencoder.pictures(images)

    def prepare(self, batch):
        images = keras.utils.unpack_x_y_sample_weight(batch)[0]
        shuffle, restore = self.draw_order(images)
        return {"image": images, "shuffle": shuffle, "restore": restore}

    def objective(self, prepared):
        order = prepared["shuffle"], prepared["restore"]
        return self.autoencoder.reconstruction_loss(
            prepared["image"], *order, training=True
        ), {}

    def test_step(self, batch):
        prepared = self.prepare(batch)
        loss = self.autoencoder.reconstruction_loss(
            prepared["image"], prepared["shuffle"], prepared["restore"]
        )
        return self.report({"loss": (loss, ops.shape(prepared["image"])[0])})

    def get_config(self):
        learned = self.autoencoder.get_config()
        names = (
            "mask_ratio decoder_width decoder_depth decoder_heads "
            "normalize_targets backbone"
        )
        return {
            **super().get_config(),
            **{name: learned[name] for name in names.split()},
            "seed": self.seed,
        }

    @classmethod
    def from_config(cls, config):
        backbone = keras.saving.deserialize_keras_object(config["backbone"])
        return cls(**{**config, "backbone": backbone})
