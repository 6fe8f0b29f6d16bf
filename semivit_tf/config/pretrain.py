"""Settings of stage 1 and of its methods."""

import dataclasses

from semivit_tf.config.method_settings import MethodSettings, method_setting
from semivit_tf.config.settings import setting
from semivit_tf.config.training import TrainingSettings, batch_size, published


@dataclasses.dataclass(frozen=True)
class MAESettings(MethodSettings):
    """Masked autoencoding, as published."""

    prefix = "pretrain_"
    name = "mae"
    training = {
        "epochs": 400,
        "base_learning_rate": 1.5e-4,
        "minimum_learning_rate": 0.0,
        "warmup_epochs": 40.0,
        "weight_decay": 0.05,
        "beta_2": 0.95,
    }

    mask_ratio: float | None = method_setting(
        0.75, "Share of patches hidden.", low=0.0, high=1.0
    )
    decoder_width: int | None = method_setting(
        512, "Channels of a decoder token.", low=1, derived=True
    )
    decoder_depth: int | None = method_setting(
        8, "Blocks of the decoder.", low=1, derived=True
    )
    decoder_heads: int | None = method_setting(
        16, "Attention heads of the decoder.", low=1, derived=True
    )
    normalize_targets: bool | None = method_setting(
        True, "Normalise each target patch."
    )


@dataclasses.dataclass(frozen=True)
class DINOSettings(MethodSettings):
    """Self-distillation over crops, as published."""

    prefix = "pretrain_dino_"
    name = "dino"
    training = {
        "epochs": 100,
        "base_learning_rate": 5e-4,
        "minimum_learning_rate": 1e-6,
        "warmup_epochs": 10.0,
        "weight_decay": 0.04,
        "beta_2": 0.999,
    }

    outputs: int | None = method_setting(65536, "Prototypes of the head.", low=2)
    hidden_width: int | None = method_setting(2048, "Channels inside the head.", low=1)
    bottleneck_width: int | None = method_setting(
        256, "Channels before the last layer of the head.", low=1
    )
    normalize_last_layer: bool | None = method_setting(
        True, "Keep the gain of the last layer at 1."
    )
    local_crops: int | None = method_setting(8, "Local crops of an image.", low=0)
    local_size: int | None = method_setting(
        None,
        "Side of a local crop, whole patches; default: like 96 for 224.",
        low=1,
    )
    crops: str | None = method_setting(
        None,
        "Family of crops; default: that of --augmentation.",
        choices=("small", "photo", "none"),
    )
    split: float | None = method_setting(
        None,
        "Share of the area between local and global crops; default: 0.4 for photo "
        "(0.14 without local crops), 0.7 for small.",
        low=0.05,
        high=1.0,
    )
    initialization: str | None = method_setting(
        "truncated_normal",
        "How the network starts; a narrow one, of some 64 channels, gave uniform "
        "outputs from truncated_normal and learnt from xavier_uniform.",
        choices=("truncated_normal", "xavier_uniform"),
    )
    drop_path: float | None = method_setting(
        0.1, "Drop path rate of the student's last block.", low=0.0
    )
    student_temperature: float | None = method_setting(
        0.1, "Temperature of the student.", low=1e-3
    )
    teacher_temperature: float | None = method_setting(
        0.04, "Temperature of the teacher after its warm-up.", low=1e-3
    )
    warmup_teacher_temperature: float | None = method_setting(
        0.04, "Temperature of the teacher at the start.", low=1e-3
    )
    temperature_warmup_epochs: int | None = method_setting(
        0, "Epochs of the teacher temperature's warm-up.", low=0
    )
    teacher_momentum: float | None = method_setting(
        0.996,
        "Momentum of the teacher at the start; it ends at 1.",
        low=0.0,
        high=1.0,
    )
    center_momentum: float | None = method_setting(
        0.9, "Momentum of the teacher's mean output.", low=0.0, high=1.0
    )
    weight_decay_end: float | None = method_setting(
        0.4, "Weight decay at the end.", low=0.0
    )
    frozen_epochs: int | None = method_setting(
        1, "Epochs before the last layer learns.", low=0
    )
    clip_norm: float | None = method_setting(
        3.0, "Largest norm of a weight's gradient; 0 is off.", low=0.0
    )


PRETRAIN_METHODS = {method.name: method for method in (MAESettings, DINOSettings)}


def _of_each_method(name, text):
    """Returns the help of a setting that has a default of each method."""
    values = [f"{m.name}: {m.training[name]:g}" for m in PRETRAIN_METHODS.values()]
    return f"{text} [{'; '.join(values)}]"


@dataclasses.dataclass(frozen=True)
class PretrainConfig(TrainingSettings):
    """Stage 1: learn from all training images, without labels."""

    prefix = "pretrain_"

    method: str = setting(
        "mae", "Pre-training method.", choices=tuple(PRETRAIN_METHODS)
    )
    epochs: int | None = published(
        None, _of_each_method("epochs", "Passes over all training images."), low=1
    )
    batch_size: int | None = batch_size("pretrain", "Images in a step")
    base_learning_rate: float | None = published(
        None,
        _of_each_method("base_learning_rate", "Peak learning rate for a batch of 256."),
        low=0.0,
    )
    minimum_learning_rate: float | None = setting(
        None,
        _of_each_method("minimum_learning_rate", "Learning rate at the end."),
        low=0.0,
    )
    warmup_epochs: float | None = published(
        None, _of_each_method("warmup_epochs", "Epochs of linear warm-up."), low=0.0
    )
    weight_decay: float | None = setting(
        None,
        _of_each_method(
            "weight_decay", "Decoupled weight decay, for dino that at the start."
        ),
        low=0.0,
    )
    clip_norm: float | None = setting(
        None,
        "mae: largest norm of all gradients of a step together; default: none.",
        low=1e-6,
    )
    beta_2: float | None = setting(
        None,
        _of_each_method("beta_2", "AdamW's memory of squared gradients."),
        low=0.0,
        high=1.0,
    )

    def usual(self, field):
        # A method that is unknown is refused by the check of the settings.
        method = PRETRAIN_METHODS.get(self.method)
        of_method = method.training if method else {}
        return of_method.get(field.name, super().usual(field))
