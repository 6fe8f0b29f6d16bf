"""Settings that the methods of stage 3 share: their parts."""

import dataclasses

from semivit_tf.config.method_settings import MethodSettings, method_setting


@dataclasses.dataclass(frozen=True)
class SemiMethodSettings(MethodSettings):
    """Stage 3, any method: its parts, and how they are set."""

    prefix = "semi_"

    labeler: str | None = method_setting(
        "teacher",
        "Part: whose answers to weak views are the pseudo labels.",
        choices=(
            *("teacher", "student", "student_in_training"),
            *("convolutional", "transformer", "mean_probability"),
        ),
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
        derived=True,
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
        1.0, "Weight of the unlabelled loss.", derived=True, low=0.0
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
        0.0, "Mixup of labelled images; 0 is off.", derived=True, low=0.0
    )
    cutmix_alpha: float | None = method_setting(
        0.0, "Cutmix of labelled images; 0 is off.", derived=True, low=0.0
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
