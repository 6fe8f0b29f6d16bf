"""What all training stages are told: how long, in which batches, how fast."""

import dataclasses

from semivit_tf.config.settings import InputError, Settings, setting

# The sizes of batches where nothing is said and there are as many images.
BATCH_SIZES = {"pretrain": 256, "finetune": 128, "semi": 128}


def batch_size(stage, of_what):
    """Makes the field of a stage's batch size."""
    return setting(
        None,
        f"{of_what}, over all replicas; default: {BATCH_SIZES[stage]}, or fewer if "
        "there are fewer.",
        low=1,
    )


@dataclasses.dataclass(frozen=True)
class TrainingSettings(Settings):
    """What all training stages are told."""

    layer_decay = 1.0  # all layers learn alike where there is no such setting

    epochs: int = setting(100, "Passes over the images.", low=1)
    steps_per_epoch: int | None = setting(
        None,
        "Steps that count as an epoch, where two runs should have equal budgets; "
        "default: one pass over the images.",
        low=1,
    )
    batch_size: int | None = setting(None, "Images in a step.", low=1)
    batch_parts: int = setting(
        1,
        "Micro-batches that a replica cuts its batch into, one after the other, to "
        "save memory.",
        low=1,
    )
    base_learning_rate: float = setting(
        5e-4, "Peak learning rate for a batch of 256.", low=0.0
    )
    minimum_learning_rate: float = setting(1e-6, "Learning rate at the end.", low=0.0)
    warmup_epochs: float = setting(5.0, "Epochs of linear warm-up.", low=0.0)
    weight_decay: float = setting(0.05, "Decoupled weight decay.", low=0.0)
    clip_norm: float | None = setting(
        None,
        "Largest norm of all gradients of a step together; default: none.",
        low=1e-6,
    )
    beta_2: float = setting(
        0.999, "AdamW's memory of squared gradients.", low=0.0, high=1.0
    )

    def __post_init__(self):
        super().__post_init__()
        if self.warmup_epochs > self.epochs:
            raise InputError(
                f"--{self.flag('warmup_epochs')} should be at most "
                f"--{self.flag('epochs')}={self.epochs}. "
                f"Received: {self.warmup_epochs}"
            )

    def steps(self, images, batch_size):
        """Returns the steps of an epoch: those asked for, or one pass over images."""
        return self.steps_per_epoch or max(1, images // batch_size)


@dataclasses.dataclass(frozen=True)
class LabeledTrainingSettings(TrainingSettings):
    """What stages with labels are told besides."""

    erasing: float | None = setting(
        None, "How often a box is erased; default: --erasing.", low=0.0, high=1.0
    )
    layer_decay: float = setting(
        0.75, "Learning rate of a layer over that of the next.", low=1e-3, high=1.0
    )
    drop_path: float = setting(0.1, "Drop path rate of the last block.", low=0.0)
