"""SoftMatch: every pseudo label counts, the less sure ones less."""

import keras

from semivit_tf.methods.consistency import ConsistencyMethod
from semivit_tf.methods.parts import set_part
from semivit_tf.methods.selections.soft_weights import SoftWeights


@keras.saving.register_keras_serializable(package="semivit_tf")
class SoftMatch(ConsistencyMethod):
    """FixMatch with weights that follow a bell curve below the mean confidence.

    Args:
        backbone: See `ConsistencyMethod`; so are the arguments not listed here.
        num_classes: Integer K.
        threshold_momentum: Float in [0, 1]. Of the running means.
        deviations: Float. See `SoftWeights`.
        **kwargs: Passed to `ConsistencyMethod`. A `selection` takes the place of the
            weights.

    Reference:
        Chen et al., SoftMatch: Addressing the Quantity-Quality Tradeoff in
        Semi-supervised Learning, 2023.
    """

    def __init__(
        self,
        backbone: keras.Model,
        num_classes: int | None = None,
        *,
        threshold_momentum: float = 0.999,
        deviations: float = 2.0,
        **kwargs,
    ):
        kwargs.setdefault("name", "softmatch")
        selection = SoftWeights(threshold_momentum, deviations)
        set_part(kwargs, "selection", "soft_weights", selection)
        super().__init__(backbone, num_classes, **kwargs)
