"""Names of a ConvNeXt's weights in published files."""

from semivit_tf.weights.dialect import Place, dense, norm
from semivit_tf.weights.layouts import CONVOLUTION, DEPTHWISE, VECTOR


def timm_names(depths):
    """Returns the names of timm, for numbers of blocks by stage."""
    names = {
        **dense("stem.0", "stem", CONVOLUTION),
        **norm("stem.1", "stem_norm"),
        **norm("head.norm", "norm"),
        **dense("head.fc", "head"),
    }
    for stage, depth in enumerate(depths):
        if stage:
            there, here = f"stages.{stage}.downsample", f"downsample{stage}"
            names |= norm(f"{there}.0", f"{here}_norm")
            names |= dense(f"{there}.1", here, CONVOLUTION)
        for index in range(depth):
            there, here = f"stages.{stage}.blocks.{index}", f"stage{stage}_block{index}"
            names |= {
                f"{there}.gamma": Place(f"{here}/scale", VECTOR),
                **dense(f"{there}.conv_dw", f"{here}/depthwise", DEPTHWISE),
                **norm(f"{there}.norm", f"{here}/norm"),
                **dense(f"{there}.mlp.fc1", f"{here}/mlp/expand"),
                **dense(f"{there}.mlp.fc2", f"{here}/mlp/contract"),
            }
    return names


def original_names(depths):
    """Returns the names of the original release, which Semi-ViT uses too."""
    names = {**norm("norm", "norm"), **dense("head", "head")}
    for stage, depth in enumerate(depths):
        there = f"downsample_layers.{stage}"
        if stage:
            names |= norm(f"{there}.0", f"downsample{stage}_norm")
            names |= dense(f"{there}.1", f"downsample{stage}", CONVOLUTION)
        else:
            names |= dense(f"{there}.0", "stem", CONVOLUTION)
            names |= norm(f"{there}.1", "stem_norm")
        for index in range(depth):
            there, here = f"stages.{stage}.{index}", f"stage{stage}_block{index}"
            names |= {
                f"{there}.gamma": Place(f"{here}/scale", VECTOR),
                **dense(f"{there}.dwconv", f"{here}/depthwise", DEPTHWISE),
                **norm(f"{there}.norm", f"{here}/norm"),
                **dense(f"{there}.pwconv1", f"{here}/mlp/expand"),
                **dense(f"{there}.pwconv2", f"{here}/mlp/contract"),
            }
    return names


class ConvNeXtNaming:
    """How files name and shape a ConvNeXt; has the methods of `ViTNaming`.

    Args:
        backbone: `ConvNeXt`.
    """

    def __init__(self, backbone):
        self.backbone = backbone

    def published(self, names=None):
        """Returns the dialects of published files, timm's first."""
        depths = self.backbone.depths
        return [timm_names(depths), original_names(depths)]

    def folded_sides(self):
        """Returns an empty dict: no axes of ours join several published ones."""
        return {}

    def grid(self):
        """Returns None: there is no position table."""

    def reason_to_refuse(self, names):
        """Returns None: no name tells that a file is of another network."""

    def reason_to_drop(self, name):
        """Returns None: no weight of a file is left out."""

    def as_timm(self, arrays):
        """Returns the arrays as they are."""
        return arrays

    def reason_against_head(self, dropped):
        """Returns None: no part of a file is left out that a head needs."""

    def reason_against_norm(self, normalized):
        """Returns None: there is one way to normalise features."""

    def reason_to_stay(self, name, dropped):
        """Returns None: every weight of ours needs a value."""

    def resizers(self, source_grid=None):
        """Returns an empty dict: no weight depends on the size of images."""
        return {}
