"""Settings of what a person is asked about a finished run."""

import dataclasses

from semivit_tf.config.settings import Settings, setting


@dataclasses.dataclass(frozen=True)
class LabellingConfig(Settings):
    """A person labels images that were chosen, or looks at labels again."""

    label_next_count: int = setting(
        50, "How many images the stage label_next asks for.", low=1, identity=False
    )
