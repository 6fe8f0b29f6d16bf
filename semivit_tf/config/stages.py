"""Settings of the three training stages."""

import dataclasses

from semivit_tf.config.settings import InputError, Settings, setting


class _Training(Settings):
    def __post_init__(self):
        super().__post_init__()
        if self.warmup_epochs > self.epochs:
            raise InputError(
                f"--{self.flag('warmup_epochs')} should be at most "
                f"--{self.flag('epochs')}={self.epochs}. "
                f"Received: {self.warmup_epochs}"
            )


@dataclasses.dataclass(frozen=True)
class PretrainConfig(_Training):
    """Stage 1: learn from all training images, without labels."""

    prefix = "pretrain_"

    method: str = setting("mae", "Pre-training method.", choices=("mae",))
    epochs: int = setting(400, "Passes over all training images.", low=1)
    batch_size: int = setting(256, "Images in a step, over all replicas.", low=1)
    base_learning_rate: float = setting(
        1.5e-4, "Peak learning rate for a batch of 256.", low=0.0
    )
    warmup_epochs: float = setting(40.0, "Epochs of linear warm-up.", low=0.0)
    weight_decay: float = setting(0.05, "Decoupled weight decay.", low=0.0)
    mask_ratio: float = setting(0.75, "Share of patches hidden.", low=0.0, high=1.0)
    decoder_width: int = setting(512, "Channels of a decoder token.", low=1)
    decoder_depth: int = setting(8, "Blocks of the decoder.", low=1)
    decoder_heads: int = setting(16, "Attention heads of the decoder.", low=1)
    normalize_targets: bool = setting(True, "Normalise each target patch.")


@dataclasses.dataclass(frozen=True)
class FinetuneConfig(_Training):
    """Stage 2: learn from the labelled images."""

    prefix = "finetune_"

    epochs: int = setting(100, "Passes over the labelled images.", low=1)
    batch_size: int = setting(128, "Labelled images in a step.", low=1)
    base_learning_rate: float = setting(
        5e-4, "Peak learning rate for a batch of 256.", low=0.0
    )
    minimum_learning_rate: float = setting(1e-6, "Learning rate at the end.", low=0.0)
    warmup_epochs: float = setting(5.0, "Epochs of linear warm-up.", low=0.0)
    weight_decay: float = setting(0.05, "Decoupled weight decay.", low=0.0)
    layer_decay: float = setting(
        0.65, "Learning rate of a layer over that of the next.", low=1e-3, high=1.0
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
    batch_size: int = setting(128, "Labelled images in a step.", low=1)
    unlabeled_per_labeled: int = setting(
        5, "Unlabelled images for each labelled one.", low=1
    )
    base_learning_rate: float = setting(
        1e-3, "Peak learning rate for 256 labelled images.", low=0.0
    )
    minimum_learning_rate: float = setting(1e-6, "Learning rate at the end.", low=0.0)
    warmup_epochs: float = setting(5.0, "Epochs of linear warm-up.", low=0.0)
    weight_decay: float = setting(0.05, "Decoupled weight decay.", low=0.0)
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
