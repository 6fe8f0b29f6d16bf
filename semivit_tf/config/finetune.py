"""Settings of stage 2."""

import dataclasses

from semivit_tf.config.settings import setting
from semivit_tf.config.training import LabeledTrainingSettings, batch_size, published


@dataclasses.dataclass(frozen=True)
class FinetuneConfig(LabeledTrainingSettings):
    """Stage 2: learn from the labelled images."""

    prefix = "finetune_"

    epochs: int | None = published(100, "Passes over the labelled images.", low=1)
    batch_size: int | None = batch_size("finetune", "Labelled images in a step")
    layer_decay: float | None = published(
        0.65, "Learning rate of a layer over that of the next.", low=1e-3, high=1.0
    )
    ema_momentum: float | None = setting(
        None,
        "Momentum of a moving average of the weights, from which the teacher of stage "
        "3 starts; default: none is kept.",
        low=0.0,
        high=1.0,
    )
    label_smoothing: float = setting(0.1, "Label smoothing.", low=0.0)
    mixup_alpha: float | None = published(0.8, "Mixup strength; 0 is off.", low=0.0)
    cutmix_alpha: float | None = published(1.0, "Cutmix strength; 0 is off.", low=0.0)
