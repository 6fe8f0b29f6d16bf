"""Which weights of a published ViT are for ours."""

import functools

from semivit_tf.weights.dialect import without
from semivit_tf.weights.layouts import PATCHES, TOKENS
from semivit_tf.weights.resizing import resize_patches, resize_positions
from semivit_tf.weights.vit_names import (
    decoder_names,
    jax_names,
    split_names,
    timm_names,
    transformers_names,
)

# Names of a norm that acts on each token.
TOKEN_NORMS = ("norm.", "layernorm.", "Transformer/encoder_norm/")
MEAN_NORM = "fc_norm."
# Names of the second token of a distilled DeiT, in timm and transformers.
DISTILLATION_TOKENS = ("dist_token", "embeddings.distillation_token")
NORMALIZED = {True: "the mean of tokens", False: "tokens"}
BEFORE_THE_MEAN = "it normalises tokens, the model's norm their mean"
AFTER_THE_MEAN = "it normalises the mean of tokens, the model's norm tokens"


class ViTNaming:
    """How files name and shape a ViT, alone or with a decoder of MAE.

    Args:
        backbone: `ViT`.
        decoder: A decoder of MAE, or None.
    """

    def __init__(self, backbone, decoder=None):
        self.backbone = backbone
        self.decoder = decoder
        # MAE's decoder gets tokens that are normalised one by one.
        self.norm_of_mean = decoder is None and backbone.pooling == "mean"

    def published(self):
        """Returns the dialects of published files, timm's first."""
        depth = self.backbone.depth
        timm = timm_names(depth, MEAN_NORM[:-1] if self.norm_of_mean else "norm")
        if self.decoder is not None:
            timm |= decoder_names(self.decoder.depth)
        others = [jax_names(depth), transformers_names(depth)]
        if self.norm_of_mean:
            others = [without(dialect, TOKEN_NORMS) for dialect in others]
        return [timm | split_names(depth), *others]

    def folded_sides(self):
        """Returns the lengths of published axes that are joined in ours, by layout."""
        side = self.backbone.patch_size
        return {TOKENS: {0: 1}, PATCHES: {2: side, 3: side}}

    def grid(self):
        """Returns the rows and columns of the position table."""
        return self.backbone.grid

    def reason_to_refuse(self, names):
        """Returns why a file with these names is not for the model, or None."""
        for name in DISTILLATION_TOKENS:
            if name in names:
                # Its other tokens attend to this one, so it cannot be left out.
                return (
                    f"it is a distilled DeiT, with a token ({name}) that the model "
                    "does not have; a DeiT that is not distilled can be loaded"
                )
        return None

    def reason_to_drop(self, name):
        """Returns why a file's weight is left out, or None if it is not."""
        if name.startswith(("mask_token", "decoder_", "decoder/")):
            return "the model has no decoder" if self.decoder is None else None
        if name.startswith(TOKEN_NORMS) and self.norm_of_mean:
            return BEFORE_THE_MEAN
        if name.startswith(MEAN_NORM):
            return AFTER_THE_MEAN
        return None

    def reason_against_norm(self, normalized):
        """Returns why the last norm of a file is not the model's, or None if it is.

        Args:
            normalized: What the file's norm acted on: `"tokens"`, `"mean"`, or None
                if unknown.
        """
        if normalized in (None, "mean" if self.norm_of_mean else "tokens"):
            return None
        return BEFORE_THE_MEAN if self.norm_of_mean else AFTER_THE_MEAN

    def reason_to_stay(self, name, dropped):
        """Returns why a weight of ours needs nothing from the file, or None if it does.

        Args:
            name: Our name.
            dropped: Dict from what was left out to the reason.
        """
        if name.startswith("norm/") and BEFORE_THE_MEAN in dropped.values():
            return self.lacks_norm()
        return None

    def lacks_norm(self):
        """Returns the message that a file has no norm like the model's."""
        return f"the file has no norm of {NORMALIZED[self.norm_of_mean]}"

    def resizers(self, source_grid=None):
        """Returns the functions that resize arrays, by our names."""
        tables = {"": self.backbone.grid}
        if self.decoder is not None:
            tables["decoder/"] = self.decoder.grid
        resizers = {
            f"{prefix}positions/position_table": functools.partial(
                resize_positions, grid=grid, source_grid=source_grid
            )
            for prefix, grid in tables.items()
        }
        resizers["patch_embedding/kernel"] = functools.partial(
            resize_patches,
            channels=self.backbone.channels,
            patch_size=self.backbone.patch_size,
        )
        return resizers
