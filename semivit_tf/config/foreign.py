"""Settings of foreign images: unlabelled images that are unlike every class."""

import dataclasses

from semivit_tf.config.settings import Settings, setting


@dataclasses.dataclass(frozen=True)
class ForeignConfig(Settings):
    """Which unlabelled images are foreign, and whether stage 3 learns from them."""

    drop_foreign: bool = setting(
        False,
        "Leave the unlabelled images out of stage 3 that the stage foreign finds to be "
        "unlike every class.",
        first=True,
    )
    foreign_false_alarms: float = setting(
        0.05,
        "Share of images of the known classes that may be taken for foreign; the limit "
        "comes from validation images, or else from the labelled ones.",
        low=0.001,
        high=0.5,
    )
