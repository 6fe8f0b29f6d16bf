"""Settings of the three training stages."""

import dataclasses

from semivit_tf.config.settings import InputError, Settings, setting

# Where nothing is said, and there are as many images.
BATCH_SIZES = {"pretrain": 256, "finetune": 128, "semi": 128}


def _batch_size(stage, of_what):
    return setting(
        None,
        f"{of_what}, over all replicas; default: {BATCH_SIZES[stage]}, or fewer if "
        "there are fewer.",
        low=1,
    )


def _batch_parts():
    return setting(
        1,
        "Parts of a replica's batch, worked on one after the other to save memory.",
        low=1,
    )


def _clip_norm(method=""):
    return setting(
        None,
        f"{method}Largest norm of all gradients of a step together; default: none.",
        low=1e-6,
    )


def _erasing():
    return setting(
        None, "How often a box is erased; default: --erasing.", low=0.0, high=1.0
    )


class _Training(Settings):
    def __post_init__(self):
        super().__post_init__()
        if self.warmup_epochs > self.epochs:
            raise InputError(
                f"--{self.flag('warmup_epochs')} should be at most "
                f"--{self.flag('epochs')}={self.epochs}. "
                f"Received: {self.warmup_epochs}"
            )


# What each method of pre-training uses where nothing is said.
PRETRAIN_DEFAULTS = {
    "mae": {
        "epochs": 400,
        "base_learning_rate": 1.5e-4,
        "minimum_learning_rate": 0.0,
        "warmup_epochs": 40.0,
        "weight_decay": 0.05,
    },
    "dino": {
        "epochs": 100,
        "base_learning_rate": 5e-4,
        "minimum_learning_rate": 1e-6,
        "warmup_epochs": 10.0,
        "weight_decay": 0.04,
    },
}


def _of_each_method(name):
    """Returns what `PRETRAIN_DEFAULTS` says of a setting, for its help."""
    values = (f"{key} {own[name]:g}" for key, own in PRETRAIN_DEFAULTS.items())
    return f"default: {', '.join(values)}."


@dataclasses.dataclass(frozen=True)
class PretrainConfig(_Training):
    """Stage 1: learn from all training images, without labels."""

    prefix = "pretrain_"

    method: str = setting(
        "mae", "Pre-training method.", choices=tuple(PRETRAIN_DEFAULTS)
    )
    epochs: int | None = setting(
        None, f"Passes over all training images; {_of_each_method('epochs')}", low=1
    )
    batch_size: int | None = _batch_size("pretrain", "Images in a step")
    batch_parts: int = _batch_parts()
    base_learning_rate: float | None = setting(
        None,
        "Peak learning rate for a batch of 256; "
        f"{_of_each_method('base_learning_rate')}",
        low=0.0,
    )
    minimum_learning_rate: float | None = setting(
        None,
        f"Learning rate at the end; {_of_each_method('minimum_learning_rate')}",
        low=0.0,
    )
    warmup_epochs: float | None = setting(
        None,
        f"Epochs of linear warm-up; {_of_each_method('warmup_epochs')}",
        low=0.0,
    )
    weight_decay: float | None = setting(
        None,
        "Decoupled weight decay, for dino that at the start; "
        f"{_of_each_method('weight_decay')}",
        low=0.0,
    )
    clip_norm: float | None = _clip_norm("mae: ")
    mask_ratio: float = setting(
        0.75, "mae: share of patches hidden.", low=0.0, high=1.0
    )
    decoder_width: int = setting(512, "mae: channels of a decoder token.", low=1)
    decoder_depth: int = setting(8, "mae: blocks of the decoder.", low=1)
    decoder_heads: int = setting(16, "mae: attention heads of the decoder.", low=1)
    normalize_targets: bool = setting(True, "mae: normalise each target patch.")
    dino_outputs: int = setting(65536, "dino: prototypes of the head.", low=2)
    dino_hidden_width: int = setting(2048, "dino: channels inside the head.", low=1)
    dino_bottleneck_width: int = setting(
        256, "dino: channels before the last layer of the head.", low=1
    )
    dino_normalize_last_layer: bool = setting(
        True, "dino: keep the gain of the last layer at 1."
    )
    dino_local_crops: int = setting(8, "dino: local crops of an image.", low=0)
    dino_local_size: int | None = setting(
        None,
        "dino: side of a local crop, whole patches; default: like 96 for 224.",
        low=1,
    )
    dino_crops: str | None = setting(
        None,
        "dino: family of crops; default: that of --augmentation.",
        choices=("small", "photo", "none"),
    )
    dino_split: float | None = setting(
        None,
        "dino: share of the area between local and global crops; default: 0.4 for "
        "photo (0.14 without local crops), 0.7 for small.",
        low=0.05,
        high=1.0,
    )
    dino_initialization: str = setting(
        "truncated_normal",
        "dino: how the network starts; a narrow one, of some 64 channels, gave uniform "
        "outputs from truncated_normal and learnt from xavier_uniform.",
        choices=("truncated_normal", "xavier_uniform"),
    )
    dino_drop_path: float = setting(
        0.1, "dino: drop path rate of the student's last block.", low=0.0
    )
    dino_student_temperature: float = setting(
        0.1, "dino: temperature of the student.", low=1e-3
    )
    dino_teacher_temperature: float = setting(
        0.04, "dino: temperature of the teacher after its warm-up.", low=1e-3
    )
    dino_warmup_teacher_temperature: float = setting(
        0.04, "dino: temperature of the teacher at the start.", low=1e-3
    )
    dino_temperature_warmup_epochs: int = setting(
        0, "dino: epochs of the teacher temperature's warm-up.", low=0
    )
    dino_teacher_momentum: float = setting(
        0.996,
        "dino: momentum of the teacher at the start; it ends at 1.",
        low=0.0,
        high=1.0,
    )
    dino_center_momentum: float = setting(
        0.9, "dino: momentum of the teacher's mean output.", low=0.0, high=1.0
    )
    dino_weight_decay_end: float = setting(
        0.4, "dino: weight decay at the end.", low=0.0
    )
    dino_frozen_epochs: int = setting(
        1, "dino: epochs before the last layer learns.", low=0
    )
    dino_clip_norm: float = setting(
        3.0, "dino: largest norm of a weight's gradient; 0 is off.", low=0.0
    )

    def __post_init__(self):
        # A method that is unknown is refused by the check of the settings.
        for name, value in PRETRAIN_DEFAULTS.get(self.method, {}).items():
            if getattr(self, name) is None:
                object.__setattr__(self, name, value)
        super().__post_init__()


@dataclasses.dataclass(frozen=True)
class FinetuneConfig(_Training):
    """Stage 2: learn from the labelled images."""

    prefix = "finetune_"

    epochs: int = setting(100, "Passes over the labelled images.", low=1)
    batch_size: int | None = _batch_size("finetune", "Labelled images in a step")
    batch_parts: int = _batch_parts()
    erasing: float | None = _erasing()
    base_learning_rate: float = setting(
        5e-4, "Peak learning rate for a batch of 256.", low=0.0
    )
    minimum_learning_rate: float = setting(1e-6, "Learning rate at the end.", low=0.0)
    warmup_epochs: float = setting(5.0, "Epochs of linear warm-up.", low=0.0)
    weight_decay: float = setting(0.05, "Decoupled weight decay.", low=0.0)
    clip_norm: float | None = _clip_norm()
    layer_decay: float = setting(
        0.65, "Learning rate of a layer over that of the next.", low=1e-3, high=1.0
    )
    beta_2: float = setting(
        0.999, "AdamW's memory of squared gradients.", low=0.0, high=1.0
    )
    ema_momentum: float | None = setting(
        None,
        "Momentum of a moving average of the weights, from which the teacher of stage "
        "3 starts; default: none is kept.",
        low=0.0,
        high=1.0,
    )
    drop_path: float = setting(0.1, "Drop path rate of the last block.", low=0.0)
    label_smoothing: float = setting(0.1, "Label smoothing.", low=0.0)
    mixup_alpha: float = setting(0.8, "Mixup strength; 0 is off.", low=0.0)
    cutmix_alpha: float = setting(1.0, "Cutmix strength; 0 is off.", low=0.0)


@dataclasses.dataclass(frozen=True)
class SemiFinetuneConfig(_Training):
    """Stage 3: learn from labelled and unlabelled images."""

    prefix = "semi_"

    method: str = setting("semi_vit", "Method.", choices=("semi_vit",))
    epochs: int = setting(100, "Passes over the unlabelled images.", low=1)
    batch_size: int | None = _batch_size("semi", "Labelled images in a step")
    unlabeled_per_labeled: int = setting(
        5, "Unlabelled images for each labelled one.", low=1
    )
    batch_parts: int = _batch_parts()
    erasing: float | None = _erasing()
    base_learning_rate: float = setting(
        1e-3, "Peak learning rate for 256 labelled images.", low=0.0
    )
    minimum_learning_rate: float = setting(1e-6, "Learning rate at the end.", low=0.0)
    warmup_epochs: float = setting(5.0, "Epochs of linear warm-up.", low=0.0)
    weight_decay: float = setting(0.05, "Decoupled weight decay.", low=0.0)
    clip_norm: float | None = _clip_norm()
    layer_decay: float = setting(
        0.75, "Learning rate of a layer over that of the next.", low=1e-3, high=1.0
    )
    drop_path: float = setting(0.1, "Drop path rate of the last block.", low=0.0)
    label_smoothing: float = setting(0.1, "Label smoothing.", low=0.0)
    mixup_alpha: float = setting(0.8, "Mixup of labelled images; 0 is off.", low=0.0)
    cutmix_alpha: float = setting(1.0, "Cutmix of labelled images; 0 is off.", low=0.0)
    threshold: float = setting(
        0.6, "Confidence from which a pseudo label is used.", low=0.0
    )
    unlabeled_weight: float = setting(5.0, "Weight of the unlabelled loss.", low=0.0)
    gated: str = setting(
        "auto",
        "Run the student only on unlabelled images that count; auto: where it may be.",
        choices=("auto", "on", "off"),
    )
    cutmix_probability: float = setting(
        0.5, "Share of cutmix, not mixup, on unlabelled images.", low=0.0, high=1.0
    )
    ema_momentum: float = setting(
        0.9999,
        "Momentum of the teacher; its memory is 1 / (1 - it).",
        low=0.0,
        high=1.0,
    )
    ema_schedule: str = setting(
        "constant", "Momentum over the run.", choices=("constant", "cosine")
    )
