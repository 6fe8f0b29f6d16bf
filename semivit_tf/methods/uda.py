"""UDA: sharpened probabilities as targets, and labels that are let in slowly."""

from collections.abc import Callable

import keras
from keras import ops

from semivit_tf.losses.probabilities import sharpened
from semivit_tf.methods.fixmatch import FixMatch


@keras.saving.register_keras_serializable(package="semivit_tf")
class UDA(FixMatch):
    """FixMatch with soft targets.

    With `annealing`, a labelled image only counts while the student is not surer of its
    class than 1 / K + (1 - 1 / K) * annealing, so that few labels are not learned by
    heart before the unlabelled images had their say.

    Args:
        backbone: See `FixMatch`; so are the arguments not listed here.
        num_classes: Integer K.
        threshold: Float, for the probabilities before they are sharpened.
        temperature: Float. Of the targets; 1 leaves them as they are.
        annealing: Optional schedule: from the number of updates done to a number that
            grows from 0 to 1.
        **kwargs: Passed to `FixMatch`.

    Reference:
        Xie et al., Unsupervised Data Augmentation for Consistency Training, 2020.
    """

    def __init__(
        self,
        backbone: keras.Model,
        num_classes: int | None = None,
        *,
        threshold: float = 0.8,
        temperature: float = 0.4,
        annealing: Callable | None = None,
        **kwargs,
    ):
        kwargs.setdefault("name", "uda")
        super().__init__(backbone, num_classes, threshold=threshold, **kwargs)
        self.temperature = temperature
        self.annealing = annealing

    def targets(self, probabilities):
        return sharpened(probabilities, self.temperature)

    def mean_labeled_loss(self, prepared, scores=None):
        if self.annealing is None:
            return super().mean_labeled_loss(prepared, scores)

        def loss(targets, logits):
            losses = self.loss_function(targets, logits)
            return losses * self.is_let_in(logits)

        return self.student.mean_labeled_loss(prepared, loss, scores)

    def is_let_in(self, logits):
        """Returns 1 for labelled images that count at this update, else 0."""
        surest = ops.max(ops.softmax(ops.stop_gradient(logits), axis=-1), axis=-1)
        chance = 1.0 / self.num_classes
        limit = chance + (1.0 - chance) * self.annealing(self.updates())
        return ops.cast(surest <= limit, "float32")

    def get_config(self):
        return {
            **super().get_config(),
            "temperature": self.temperature,
            "annealing": keras.saving.serialize_keras_object(self.annealing),
        }

    @classmethod
    def from_config(cls, config):
        annealing = keras.saving.deserialize_keras_object(config.get("annealing"))
        return super().from_config({**config, "annealing": annealing})
