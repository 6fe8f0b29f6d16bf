"""Settings of the methods of stage 3."""

import dataclasses

from semivit_tf.config.method_settings import MethodSettings, method_setting


@dataclasses.dataclass(frozen=True)
class SemiMethodSettings(MethodSettings):
    """Stage 3, any method: its parts, and how they are set."""

    prefix = "semi_"

    labeler: str | None = method_setting(
        "teacher",
        "Part: whose answers to weak views are the pseudo labels.",
        choices=("teacher", "student", "student_in_training"),
    )
    selection: str | None = method_setting(
        "fixed_threshold",
        "Part: which pseudo labels count.",
        choices=(
            "fixed_threshold",
            "curriculum_threshold",
            "self_adaptive_threshold",
            "soft_weights",
        ),
    )
    mixing: str | None = method_setting(
        "none",
        "Part: how unlabelled images are mixed.",
        choices=("none", "pseudo_mixup", "pseudo_mixup_plus", "probabilistic"),
    )
    threshold: float | None = method_setting(
        0.95,
        "Confidence from which a pseudo label is used; of a curriculum, the highest.",
        part=("selection", "fixed_threshold", "curriculum_threshold"),
        low=0.0,
    )
    threshold_momentum: float | None = method_setting(
        0.999,
        "Momentum of the running means that thresholds or weights are made of.",
        part=("selection", "self_adaptive_threshold", "soft_weights"),
        derived=True,
        low=0.0,
        high=1.0,
    )
    deviations: float | None = method_setting(
        2.0,
        "How steeply the weights of less sure pseudo labels fall.",
        part=("selection", "soft_weights"),
        low=0.01,
    )
    cutmix_probability: float | None = method_setting(
        0.5,
        "Share of cutmix, not mixup, on unlabelled images.",
        part=("mixing", "probabilistic"),
        low=0.0,
        high=1.0,
    )
    pseudo_mixup_alpha: float | None = method_setting(
        0.8,
        "Mixup of unlabelled images; 0 is off.",
        part=("mixing", "pseudo_mixup", "pseudo_mixup_plus"),
        low=0.0,
    )
    pseudo_cutmix_alpha: float | None = method_setting(
        1.0,
        "Cutmix of unlabelled images; 0 is off.",
        part=("mixing", "pseudo_mixup", "pseudo_mixup_plus"),
        low=0.0,
    )
    unlabeled_weight: float | None = method_setting(
        1.0, "Weight of the unlabelled loss.", low=0.0
    )
    unlabeled_ramp: float | None = method_setting(
        0.0,
        "Share of the stage over which that weight grows from 0.",
        low=0.0,
        high=1.0,
    )
    labeled_view: str | None = method_setting(
        "weak",
        "Which view of labelled images is learned: the strong one, called labeled, or "
        "the weak one.",
        choices=("labeled", "weak"),
    )
    label_smoothing: float | None = method_setting(0.0, "Label smoothing.", low=0.0)
    mixup_alpha: float | None = method_setting(
        0.0, "Mixup of labelled images; 0 is off.", low=0.0
    )
    cutmix_alpha: float | None = method_setting(
        0.0, "Cutmix of labelled images; 0 is off.", low=0.0
    )
    ema_momentum: float | None = method_setting(
        0.999,
        "Momentum of the teacher; its memory is 1 / (1 - it).",
        derived=True,
        low=0.0,
        high=1.0,
    )
    ema_schedule: str | None = method_setting(
        "constant", "Momentum over the run.", choices=("constant", "cosine")
    )


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
    )
}
