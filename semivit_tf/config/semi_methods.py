"""Settings of the methods of stage 3."""

import dataclasses

from semivit_tf.config.method_settings import method_setting
from semivit_tf.config.semi_parts import SemiMethodSettings

_SEMI_VIT = {
    "threshold": 0.6,
    "unlabeled_weight": 5.0,
    "labeled_view": "labeled",
    "label_smoothing": 0.1,
    "mixup_alpha": 0.8,
    "cutmix_alpha": 1.0,
    "ema_momentum": 0.9999,
}


@dataclasses.dataclass(frozen=True)
class SemiViTSettings(SemiMethodSettings):
    """Semi-ViT, as published."""

    name = "semi_vit"
    defaults = {**_SEMI_VIT, "mixing": "probabilistic"}


@dataclasses.dataclass(frozen=True)
class EMATeacherSettings(SemiMethodSettings):
    """Semi-ViT without mixing of unlabelled images."""

    name = "ema_teacher"
    defaults = _SEMI_VIT


@dataclasses.dataclass(frozen=True)
class FixMatchSettings(SemiMethodSettings):
    """FixMatch, as published for small images."""

    name = "fixmatch"
    defaults = {"labeler": "student_in_training"}


@dataclasses.dataclass(frozen=True)
class FlexMatchSettings(SemiMethodSettings):
    """FlexMatch, as published."""

    name = "flexmatch"
    defaults = {
        "labeler": "student_in_training",
        "selection": "curriculum_threshold",
    }


@dataclasses.dataclass(frozen=True)
class FreeMatchSettings(SemiMethodSettings):
    """FreeMatch, as published."""

    name = "freematch"
    defaults = {
        "labeler": "student_in_training",
        "selection": "self_adaptive_threshold",
    }

    fairness_weight: float | None = method_setting(
        0.001,
        "Weight of the loss against uneven classes.",
        part=("selection", "self_adaptive_threshold"),
        low=0.0,
    )


@dataclasses.dataclass(frozen=True)
class SoftMatchSettings(SemiMethodSettings):
    """SoftMatch, as published."""

    name = "softmatch"
    defaults = {"labeler": "student_in_training", "selection": "soft_weights"}


@dataclasses.dataclass(frozen=True)
class UDASettings(SemiMethodSettings):
    """UDA, as published."""

    name = "uda"
    defaults = {"labeler": "student_in_training", "threshold": 0.8}

    temperature: float | None = method_setting(
        0.4, "Temperature of the targets; 1 leaves them as they are.", low=0.01
    )
    annealing: str | None = method_setting(
        "none",
        "How fast labelled images that the student is sure of are let in over the "
        "stage; none: all from the first step.",
        choices=("none", "linear", "log", "exp"),
    )


@dataclasses.dataclass(frozen=True)
class MeanTeacherSettings(SemiMethodSettings):
    """Mean Teacher, as published for ViTs."""

    name = "mean_teacher"
    defaults = {"threshold": 0.0, "unlabeled_weight": 50.0, "unlabeled_ramp": 0.4}


@dataclasses.dataclass(frozen=True)
class PiModelSettings(SemiMethodSettings):
    """The Pi-model, as published for ViTs."""

    name = "pi_model"
    defaults = {
        "labeler": "student_in_training",
        "threshold": 0.0,
        "unlabeled_weight": 10.0,
        "unlabeled_ramp": 0.4,
    }


@dataclasses.dataclass(frozen=True)
class PseudoLabelSettings(SemiMethodSettings):
    """Pseudo-Label, as published for ViTs."""

    name = "pseudo_label"
    defaults = {"labeler": "student_in_training", "unlabeled_ramp": 0.4}


@dataclasses.dataclass(frozen=True)
class SemiformerSettings(SemiMethodSettings):
    """Semiformer, as published."""

    name = "semiformer"
    defaults = {
        "labeler": "convolutional",
        "threshold": 0.7,
        "unlabeled_weight": 4.0,
        "labeled_view": "labeled",
        "label_smoothing": 0.1,
        "ema_momentum": 0.99996,
    }

    convolutional_weight: float | None = method_setting(
        1.0,
        "The convolutional head's part in the unlabelled loss; 0: it learns from "
        "labels only.",
        low=0.0,
    )
    unlabeled_smoothing: float | None = method_setting(
        0.0, "Smoothing of pseudo labels.", low=0.0
    )


@dataclasses.dataclass(frozen=True)
class SupervisedSettings(SemiMethodSettings):
    """The labelled images alone, for as long as the other methods take."""

    name = "supervised"
    lacks = (
        "labeler",
        "selection",
        "mixing",
        "unlabeled_weight",
        "unlabeled_ramp",
    )


@dataclasses.dataclass(frozen=True)
class SemiMAESettings(SemiMethodSettings):
    """Semi-MAE on Semi-ViT's parts, by choices of this project."""

    name = "semi_mae"
    defaults = SemiViTSettings.defaults

    reconstruction_weight: float | None = method_setting(
        1.0, "Weight of the loss of rebuilding hidden patches.", low=0.0
    )
    mask_ratio: float | None = method_setting(
        0.75, "Share of patches hidden.", low=0.0, high=1.0
    )
    decoder_width: int | None = method_setting(
        256, "Channels of a decoder token.", low=1, derived=True
    )
    decoder_depth: int | None = method_setting(
        2, "Blocks of the decoder.", low=1, derived=True
    )
    decoder_heads: int | None = method_setting(
        8, "Attention heads of the decoder.", low=1, derived=True
    )
    normalize_targets: bool | None = method_setting(
        True, "Normalise each target patch."
    )


SEMI_METHODS = {
    method.name: method
    for method in (
        SemiViTSettings,
        EMATeacherSettings,
        FixMatchSettings,
        FlexMatchSettings,
        FreeMatchSettings,
        SoftMatchSettings,
        UDASettings,
        MeanTeacherSettings,
        PiModelSettings,
        PseudoLabelSettings,
        SupervisedSettings,
        SemiMAESettings,
        SemiformerSettings,
    )
}
