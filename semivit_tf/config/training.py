"""What all training stages are told: how long, in which batches, how fast."""

import dataclasses

from semivit_tf.config.presets import BATCH_SIZES, PUBLISHED_BATCH_SIZES
from semivit_tf.config.settings import InputError, Settings, setting


def published(value, help, **limits):
    """Makes a field whose default is derived, or with `--preset=published` a value."""
    return setting(None, help, usual=value, derived=True, **limits)


def batch_size(stage, of_what):
    """Makes the field of a stage's batch size."""
    return setting(
        None,
        f"{of_what}, over all replicas; default: {BATCH_SIZES[stage]}, published: "
        f"{PUBLISHED_BATCH_SIZES[stage]}, or fewer if there are fewer.",
        low=1,
    )


@dataclasses.dataclass(frozen=True)
class TrainingSettings(Settings):
    """What all training stages are told."""

    # Of stages that have no such setting.
    layer_decay = 1.0
    optimizer = "adamw"
    schedule = "cosine"

    epochs: int | None = published(100, "Passes over the images.", low=1)
    steps_per_epoch: int | None = published(
        None,
        "Steps that count as an epoch, where two runs should have equal budgets; "
        "default: one pass over the images.",
        low=1,
    )
    batch_size: int | None = setting(None, "Images in a step.", low=1)
    batch_parts: int | None = setting(
        None,
        "Micro-batches that a replica cuts its batch into, one after the other, to "
        "save memory; default: as few as fit into it.",
        low=1,
    )
    base_learning_rate: float | None = published(
        5e-4, "Peak learning rate for a batch of 256.", low=0.0
    )
    minimum_learning_rate: float | None = setting(
        None, "Learning rate at the end.", usual=1e-6, low=0.0
    )
    warmup_epochs: float | None = published(5.0, "Epochs of linear warm-up.", low=0.0)
    weight_decay: float | None = setting(
        None, "Decoupled weight decay.", usual=0.05, low=0.0
    )
    clip_norm: float | None = setting(
        None,
        "Largest norm of all gradients of a step together; default: none.",
        low=1e-6,
    )
    beta_2: float | None = setting(
        None, "AdamW's memory of squared gradients.", usual=0.999, low=0.0, high=1.0
    )

    def __post_init__(self):
        super().__post_init__()
        if "warmup_epochs" not in self.said:
            shorter = min(self.warmup_epochs, float(self.epochs))
            object.__setattr__(self, "warmup_epochs", shorter)
        if self.warmup_epochs > self.epochs:
            raise InputError(
                f"--{self.flag('warmup_epochs')} should be at most "
                f"--{self.flag('epochs')}={self.epochs}. "
                f"Received: {self.warmup_epochs}"
            )

    def steps(self, images, batch_size):
        """Returns the steps of an epoch: those asked for, or one pass over images."""
        return self.steps_per_epoch or max(1, images // batch_size)


# What the methods for small images were published with: 0.03 for 64 labelled images.
SGD = {"base_learning_rate": 0.12, "weight_decay": 5e-4}
# Settings that one optimizer or schedule has and the others have not.
_BELONGS = {
    "beta_2": ("optimizer", "adamw"),
    "minimum_learning_rate": ("schedule", "cosine"),
}


@dataclasses.dataclass(frozen=True)
class LabeledTrainingSettings(TrainingSettings):
    """What stages with labels are told besides."""

    optimizer: str = setting(
        "adamw",
        "AdamW, or SGD with Nesterov momentum 0.9. With sgd, base_learning_rate is "
        "0.12 and weight_decay, which is L2 then, 5e-4, if nothing else is said.",
        choices=("adamw", "sgd"),
    )
    schedule: str = setting(
        "cosine",
        "How the learning rate falls: along half a cosine, or along 7/16 of one, to a "
        "fifth of the peak.",
        choices=("cosine", "cosine_7_16"),
    )

    erasing: float | None = setting(
        None, "How often a box is erased; default: --erasing.", low=0.0, high=1.0
    )
    balanced: bool = setting(
        False, "Weigh labelled images so that all classes count alike."
    )
    layer_decay: float | None = published(  # type: ignore[assignment]
        0.75, "Learning rate of a layer over that of the next.", low=1e-3, high=1.0
    )
    drop_path: float | None = published(
        0.1, "Drop path rate of the last block.", low=0.0
    )

    def usual(self, field):
        if not self._has(field):
            return None
        usual = super().usual(field)
        return SGD.get(field.name, usual) if self.optimizer == "sgd" else usual

    def _check(self, field, value):
        super()._check(field, value)
        if value is not None and not self._has(field):
            name, wanted = _BELONGS[field.name]
            raise InputError(
                f"--{self.flag(field.name)} belongs to --{self.flag(name)}={wanted}. "
                f"Received it with --{self.flag(name)}={getattr(self, name)}; "
                f"--{self.flag(field.name)}= takes it back"
            )

    def _has(self, field):
        name, wanted = _BELONGS.get(field.name, (None, None))
        return name is None or getattr(self, name) == wanted
