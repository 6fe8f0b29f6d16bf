"""Settings of stage 3."""

import dataclasses

from semivit_tf.config.semi_methods import SEMI_METHODS
from semivit_tf.config.settings import setting
from semivit_tf.config.training import LabeledTrainingSettings, batch_size, published


@dataclasses.dataclass(frozen=True)
class SemiFinetuneConfig(LabeledTrainingSettings):
    """Stage 3: learn from labelled and unlabelled images."""

    prefix = "semi_"

    method: str = setting("semi_vit", "Method.", choices=tuple(SEMI_METHODS))
    epochs: int | None = published(100, "Passes over the unlabelled images.", low=1)
    batch_size: int | None = batch_size("semi", "Labelled images in a step")
    base_learning_rate: float | None = published(
        1e-3, "Peak learning rate for 256 labelled images.", low=0.0
    )
    unlabeled_per_labeled: int = setting(
        5, "Unlabelled images for each labelled one.", low=1
    )
    stop_on_collapse: bool = setting(
        False,
        "End with an error where pseudo labels have collapsed, instead of saying so.",
        identity=False,
    )
    from_scratch: bool = setting(
        False, "Start from an untrained network, not from stage 2."
    )
    gated: str = setting(
        "auto",
        "Run the student only on unlabelled images that count; auto: where it may be.",
        choices=("auto", "on", "off"),
    )
