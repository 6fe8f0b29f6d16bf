"""Settings of the judge, which says how good generated images are."""

import dataclasses

from semivit_tf.config.settings import setting
from semivit_tf.config.training import TrainingSettings, batch_size, published


@dataclasses.dataclass(frozen=True)
class JudgeConfig(TrainingSettings):
    """A small network learns all true labels, to judge generated images by."""

    prefix = "judge_"

    epochs: int | None = published(10, "Passes over all training images.", low=1)
    batch_size: int | None = batch_size("judge", "Images in a step")
    base_learning_rate: float | None = setting(
        4e-3, "Peak learning rate for a batch of 256.", low=0.0
    )
    warmup_epochs: float | None = published(0.5, "Epochs of linear warm-up.", low=0.0)
    weight_decay: float | None = setting(1e-4, "Decoupled weight decay.", low=0.0)
    images_per_class: int = setting(
        4, "Images of each class in pictures by solver and by guidance.", low=0
    )
