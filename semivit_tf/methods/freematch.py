"""FreeMatch: FixMatch with thresholds that follow the training, and fairness."""

import keras

from semivit_tf.losses.fairness import self_adaptive_fairness
from semivit_tf.methods.consistency import ConsistencyMethod
from semivit_tf.methods.parts import set_part
from semivit_tf.methods.selections.self_adaptive_threshold import SelfAdaptiveThreshold


@keras.saving.register_keras_serializable(package="semivit_tf")
class FreeMatch(ConsistencyMethod):
    """Thresholds from running means of confidence, and a loss against uneven classes.

    Args:
        backbone: See `ConsistencyMethod`; so are the arguments not listed here.
        num_classes: Integer K.
        threshold_momentum: Float in [0, 1]. Of the running means.
        fairness_weight: Float. Weight of `self_adaptive_fairness`.
        **kwargs: Passed to `ConsistencyMethod`.

    Reference:
        Wang et al., FreeMatch: Self-adaptive Thresholding for Semi-supervised Learning,
        2023.
    """

    further_terms = ("fairness_loss",)

    def __init__(
        self,
        backbone: keras.Model,
        num_classes: int | None = None,
        *,
        threshold_momentum: float = 0.999,
        fairness_weight: float = 0.001,
        **kwargs,
    ):
        kwargs.setdefault("name", "freematch")
        selection = SelfAdaptiveThreshold(threshold_momentum)
        set_part(kwargs, "selection", "self_adaptive_threshold", selection)
        super().__init__(backbone, num_classes, **kwargs)
        if fairness_weight and not isinstance(self.selection, SelfAdaptiveThreshold):
            raise ValueError(
                "`fairness_weight` should be 0 without a SelfAdaptiveThreshold, whose "
                f"running means it needs. Received: fairness_weight={fairness_weight}, "
                f"selection={type(self.selection).__name__}"
            )
        self.fairness_weight = fairness_weight

    def further_losses(self, prepared, scores):
        if not self.fairness_weight:
            return {}
        loss = self_adaptive_fairness(
            scores[:, 0],
            prepared["weight"],
            self.selection.class_probability,
            self.selection.class_share,
        )
        return {"fairness_loss": (self.fairness_weight, loss)}

    def get_config(self):
        return {**super().get_config(), "fairness_weight": self.fairness_weight}
