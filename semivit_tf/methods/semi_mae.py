"""Semi-MAE: the student's encoder also rebuilds hidden patches of unlabelled images."""

import keras

from semivit_tf.backbones.kept_values import kept_values, transformer_values
from semivit_tf.methods.masked_autoencoder import MaskedAutoencoder
from semivit_tf.methods.semi_vit import SemiViT


@keras.saving.register_keras_serializable(package="semivit_tf")
class SemiMAE(SemiViT):
    """Semi-ViT, and a masked autoencoder on the student's encoder.

    The autoencoder sees a part of each weak view of the unlabelled images and predicts
    the pixels of the rest. It has a norm and a small decoder of its own, which neither
    the teacher nor an export has. Published are the shared encoder, the weak views and
    the high mask ratio; all else is a choice made here. Any labeler, selection and
    mixing go with it.

    Args:
        backbone: `ViT`, or a `Classifier` on one; see `SemiViT`, and so are the
            arguments not listed here.
        num_classes: Integer K.
        reconstruction_weight: Float. Weight of the reconstruction loss; with 0 there is
            no autoencoder, and the method is Semi-ViT.
        mask_ratio: See `MaskedAutoencoder`; so are the next four.
        decoder_width: Integer.
        decoder_depth: Integer.
        decoder_heads: Integer.
        normalize_targets: Bool.
        **kwargs: Passed to `SemiViT`.

    Reference:
        Yu et al., Semi-MAE: Masked Autoencoders for Semi-supervised Vision
        Transformers, 2023.
    """

    further_terms = ("reconstruction_loss",)

    def __init__(
        self,
        backbone: keras.Model,
        num_classes: int | None = None,
        *,
        reconstruction_weight: float = 1.0,
        mask_ratio: float = 0.75,
        decoder_width: int = 256,
        decoder_depth: int = 2,
        decoder_heads: int = 8,
        normalize_targets: bool = True,
        **kwargs,
    ):
        kwargs.setdefault("name", "semi_mae")
        super().__init__(backbone, num_classes, **kwargs)
        self.reconstruction_weight = reconstruction_weight
        self.mask_ratio = mask_ratio
        self.decoder_width = decoder_width
        self.decoder_depth = decoder_depth
        self.decoder_heads = decoder_heads
        self.normalize_targets = normalize_targets
        self.autoencoder = None
        if not reconstruction_weight:
            return
        # Of its own, so that mixing draws the same with and without it.
        self.mask_generator = keras.random.SeedGenerator(self.seed)
        self.autoencoder = MaskedAutoencoder(
            self.student.backbone,
            own_norm=True,
            dtype=self.dtype_policy,
            name="autoencoder",
            **self._autoencoder_options(),
        )
        if self.autoencoder.visible == self.autoencoder.tokens:
            raise ValueError(
                f"`mask_ratio` should hide some of {self.autoencoder.tokens} patches. "
                f"Received: mask_ratio={mask_ratio}"
            )

    def _autoencoder_options(self):
        names = "mask_ratio decoder_width decoder_depth decoder_heads normalize_targets"
        return {name: getattr(self, name) for name in names.split()}

    def prepare(self, batch):
        prepared = super().prepare(batch)
        if self.autoencoder is not None:
            order = self.autoencoder.draw_order(prepared["weak"], self.mask_generator)
            prepared["shuffle"], prepared["restore"] = order
        return prepared

    def further_losses(self, prepared, scores):
        if self.autoencoder is None:
            return {}
        views = (prepared[name] for name in ("weak", "shuffle", "restore"))
        loss = self.autoencoder.reconstruction_loss(*views, training=True)
        return {"reconstruction_loss": (self.reconstruction_weight, loss)}

    def further_values(self):
        if self.autoencoder is None:
            return 0
        sees, decoder = self.autoencoder.visible + 1, self.autoencoder.decoder
        sizes = decoder.width, decoder.heads, decoder.depth
        rebuilt = transformer_values(self.autoencoder.tokens + 1, *sizes)
        return kept_values(self.student.backbone, sees) + rebuilt

    def get_config(self):
        return {
            **super().get_config(),
            "reconstruction_weight": self.reconstruction_weight,
            **self._autoencoder_options(),
        }
