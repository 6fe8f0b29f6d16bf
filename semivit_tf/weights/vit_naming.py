"""Which weights of a published ViT are for ours."""

import functools
import re

from semivit_tf.layers.position_embedding import GUARD
from semivit_tf.weights.dialect import without
from semivit_tf.weights.layouts import PATCHES, TOKENS
from semivit_tf.weights.resizing import resize_patches, resize_positions
from semivit_tf.weights.vit_names import (
    decoder_names,
    dinov2_names,
    jax_names,
    split_names,
    timm_names,
    transformers_dinov2_names,
    transformers_names,
)

# Names of a norm that acts on each token.
TOKEN_NORMS = ("norm.", "layernorm.", "Transformer/encoder_norm/")
MEAN_NORM = "fc_norm."
# Names of the second token of a distilled DeiT, in timm and transformers.
DISTILLATION_TOKENS = ("dist_token", "embeddings.distillation_token")
REGISTERS = ("register_tokens", "reg_token", "embeddings.register_tokens")
LAYER_SCALES = ("blocks.0.ls1.gamma", "encoder.layer.0.layer_scale1.lambda1")
MASK_TOKENS = ("mask_token", "embeddings.mask_token")
# The number of a block in any of the dialects.
BLOCK = re.compile(
    r"(?:^|[./])(?:blocks\.|encoder\.layer\.|encoderblock_|block)(\d+)[./]"
)
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

    def published(self, names=None):
        """Returns the dialects of published files, timm's first.

        Args:
            names: Optional names in a file. DINOv2's have a mask token, too, which is
                not that of a decoder.
        """
        depth = self.backbone.depth
        timm = timm_names(depth, MEAN_NORM[:-1] if self.norm_of_mean else "norm")
        dinov2 = names is not None and self.backbone.layer_scale is not None
        decoding = not dinov2 or any(name.startswith("decoder_") for name in names)
        if self.decoder is not None and decoding:
            timm |= decoder_names(self.decoder.depth)
        makers = jax_names, transformers_names, dinov2_names, transformers_dinov2_names
        others = [names_of(depth) for names_of in makers]
        if self.norm_of_mean:
            others = [without(dialect, TOKEN_NORMS) for dialect in others]
        return [timm | split_names(depth), *others]

    def folded_sides(self):
        """Returns the lengths of published axes that are joined in ours, by layout."""
        side = self.backbone.patch_size
        return {TOKENS: {0: 1}, PATCHES: {2: side, 3: side}}

    def as_timm(self, arrays):
        """Returns the arrays of `published()[0]` as timm's networks have them.

        Where there are registers, its class token has no position of its own.
        """
        if not self.backbone.registers:
            return arrays
        table = arrays["pos_embed"]
        first = arrays["cls_token"] + table[:, :1]
        return {**arrays, "cls_token": first, "pos_embed": table[:, 1:]}

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
        for name in REGISTERS:
            if name in names and not self.backbone.registers:
                return (
                    f"it has register tokens ({name}): `registers`, --registers, "
                    "should be their number, which is usually 4"
                )
        for name in LAYER_SCALES:
            if name in names and self.backbone.layer_scale is None:
                return (
                    f"its blocks have layer scale ({name}), which the model does not "
                    "have: a backbone such as vit_small_patch14 does"
                )
        return None

    def reason_to_drop(self, name):
        """Returns why a file's weight is left out, or None if it is not."""
        if name in MASK_TOKENS and self.backbone.layer_scale is not None:
            return "it stands for hidden patches, in DINOv2's pre-training alone"
        if name.startswith(("mask_token", "decoder_", "decoder/")):
            return "the model has no decoder" if self.decoder is None else None
        block = BLOCK.search(name)
        if block and int(block[1]) >= self.backbone.depth:
            return self._too_deep()
        if name.startswith(TOKEN_NORMS) and self.norm_of_mean:
            return BEFORE_THE_MEAN
        if name.startswith(MEAN_NORM):
            return AFTER_THE_MEAN
        return None

    def _too_deep(self):
        return f"the model has the first {self.backbone.depth} blocks only"

    def reason_against_head(self, dropped):
        """Returns why the file's head is not for the model's features, or None."""
        if self._too_deep() in dropped.values():
            return "the head was trained on features of later blocks"
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
        if self.backbone.position_resizing == "dinov2":
            how = {"guard": GUARD, "antialias": self.backbone.positions.antialias}
            table = "positions/position_table"
            resizers[table] = functools.partial(resizers[table], **how)
        resizers["patch_embedding/kernel"] = functools.partial(
            resize_patches,
            channels=self.backbone.channels,
            patch_size=self.backbone.patch_size,
        )
        return resizers
