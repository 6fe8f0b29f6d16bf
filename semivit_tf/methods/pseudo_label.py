"""Pseudo-Label: the student learns what it is sure of, on the same view."""

import keras

from semivit_tf.methods.fixmatch import FixMatch


@keras.saving.register_keras_serializable(package="semivit_tf")
class PseudoLabel(FixMatch):
    """FixMatch without a strong view: only the confidence of the student can grow.

    As published, the weight of the unlabelled loss grows over the first 40 % of the
    run: pass a schedule as `unlabeled_weight`.

    Args:
        backbone: See `FixMatch`; so are all other arguments.

    Reference:
        Lee, Pseudo-Label: The Simple and Efficient Semi-Supervised Learning Method for
        Deep Neural Networks, 2013.
    """

    unlabeled_views = ("weak",)

    def __init__(self, backbone: keras.Model, num_classes: int | None = None, **kwargs):
        kwargs.setdefault("name", "pseudo_label")
        super().__init__(backbone, num_classes, **kwargs)
