"""FixMatch: the student labels what it is sure of, and learns it from strong views."""

import keras

from semivit_tf.methods.consistency import ConsistencyMethod
from semivit_tf.methods.parts import set_part
from semivit_tf.methods.selections.fixed_threshold import FixedThreshold


@keras.saving.register_keras_serializable(package="semivit_tf")
class FixMatch(ConsistencyMethod):
    """Hard pseudo labels, where the student's confidence reaches a fixed threshold.

    Args:
        backbone: See `ConsistencyMethod`; so are the arguments not listed here.
        num_classes: Integer K.
        threshold: Float. The confidence from which a pseudo label is used.
        **kwargs: Passed to `ConsistencyMethod`. A `selection` takes the place of the
            threshold.

    Reference:
        Sohn et al., FixMatch: Simplifying Semi-Supervised Learning with Consistency and
        Confidence, 2020.
    """

    def __init__(
        self,
        backbone: keras.Model,
        num_classes: int | None = None,
        *,
        threshold: float = 0.95,
        **kwargs,
    ):
        kwargs.setdefault("name", "fixmatch")
        set_part(kwargs, "selection", "fixed_threshold", FixedThreshold(threshold))
        super().__init__(backbone, num_classes, **kwargs)
