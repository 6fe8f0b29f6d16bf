"""FlexMatch: FixMatch with lower thresholds for classes that are learned slowly."""

import keras

from semivit_tf.methods.consistency import ConsistencyMethod
from semivit_tf.methods.selections.curriculum_threshold import CurriculumThreshold


@keras.saving.register_keras_serializable(package="semivit_tf")
class FlexMatch(ConsistencyMethod):
    """Thresholds that rise with the number of images learned of a class.

    Batches hold the `index` of each unlabelled image.

    Args:
        backbone: See `ConsistencyMethod`; so are the arguments not listed here.
        num_classes: Integer K.
        images: Integer. Images that indices may point to; see `CurriculumThreshold`.
        threshold: Float. The highest threshold.
        **kwargs: Passed to `ConsistencyMethod`. A `selection` takes the place of the
            thresholds.

    Reference:
        Zhang et al., FlexMatch: Boosting Semi-Supervised Learning with Curriculum
        Pseudo Labeling, 2021.
    """

    def __init__(
        self,
        backbone: keras.Model,
        num_classes: int | None = None,
        *,
        images: int | None = None,
        threshold: float = 0.95,
        **kwargs,
    ):
        kwargs.setdefault("name", "flexmatch")
        given = kwargs.get("selection", "curriculum_threshold")
        if given == "curriculum_threshold":
            kwargs["selection"] = CurriculumThreshold(threshold, images=images)
        super().__init__(backbone, num_classes, **kwargs)
