"""Mixup and cutmix of unlabelled images, as of labelled ones."""

import dataclasses

import keras
from keras import ops

from semivit_tf.augment.mixing import labeled_mix
from semivit_tf.methods.mixings.mixing import Mixing


@keras.saving.register_keras_serializable(package="semivit_tf")
@dataclasses.dataclass(frozen=True)
class PseudoMixupPlus(Mixing):
    """Mixes all images, each with the one opposite; it counts as before.

    An image that does not count by itself may still be part of one that does.

    Args:
        pseudo_mixup_alpha: Float. Mixup ratios come from Beta(alpha, alpha).
        pseudo_cutmix_alpha: Float. The same for cutmix; each is drawn in half of the
            batches.
    """

    pseudo_mixup_alpha: float = 0.8
    pseudo_cutmix_alpha: float = 1.0

    def __call__(self, images, targets, confidence, weight, seed=None):
        images, targets = labeled_mix(
            images,
            targets,
            targets.shape[-1],
            mixup_alpha=self.pseudo_mixup_alpha,
            cutmix_alpha=self.pseudo_cutmix_alpha,
            label_smoothing=0.0,
            partner=self.partner(weight),
            seed=seed,
        )
        return images, targets, weight

    def partner(self, weight):
        """Returns the rows `[U]` that rows are mixed with; None: from last to first."""
        return None


@keras.saving.register_keras_serializable(package="semivit_tf")
@dataclasses.dataclass(frozen=True)
class PseudoMixup(PseudoMixupPlus):
    """Mixes the images that count with one another, the opposite ones of these.

    Args:
        pseudo_mixup_alpha: Float. See `PseudoMixupPlus`; so is the next.
        pseudo_cutmix_alpha: Float.
    """

    def partner(self, weight):
        counts = ops.cast(weight > 0, "int32")
        total = ops.sum(counts)
        # Rows in order, those that count first; place of each row in that order.
        rows = ops.arange(ops.shape(weight)[0], dtype="int32")
        order = ops.argsort((1 - counts) * ops.shape(weight)[0] + rows)
        place = ops.argsort(order)
        opposite = ops.where(counts > 0, total - 1 - place, place)
        return ops.take(order, opposite)
