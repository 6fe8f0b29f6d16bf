"""Pi-model: two weak views of an image should have the same probabilities."""

from collections.abc import Callable

import keras

from semivit_tf.losses.probabilities import squared_error
from semivit_tf.losses.streams import mean_over_streams
from semivit_tf.methods.fixmatch import FixMatch


@keras.saving.register_keras_serializable(package="semivit_tf")
class PiModel(FixMatch):
    """Squared error of probabilities between two weak views, of all images.

    As published, the weight of the unlabelled loss grows over the first 40 % of the
    run: pass a schedule as `unlabeled_weight`.

    Args:
        backbone: See `FixMatch`; so are all other arguments.

    Reference:
        Laine and Aila, Temporal Ensembling for Semi-Supervised Learning, 2017.
    """

    unlabeled_views = ("weak", "weak2")

    def __init__(
        self,
        backbone: keras.Model,
        num_classes: int | None = None,
        *,
        threshold: float = 0.0,
        unlabeled_weight: float | Callable = 10.0,
        **kwargs,
    ):
        kwargs.setdefault("name", "pi_model")
        super().__init__(
            backbone,
            num_classes,
            threshold=threshold,
            unlabeled_weight=unlabeled_weight,
            **kwargs,
        )

    def targets(self, probabilities):
        return probabilities

    def unlabeled_loss(self, targets, scores):
        return mean_over_streams(squared_error, targets, scores)
