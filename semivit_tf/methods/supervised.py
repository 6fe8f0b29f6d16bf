"""Supervised learning as a method of stage 3, to which all others are compared."""

import keras

from semivit_tf.methods.averaged_classifier import AveragedClassifier
from semivit_tf.methods.consistency import ConsistencyMethod


@keras.saving.register_keras_serializable(package="semivit_tf")
class Supervised(ConsistencyMethod):
    """Learns from the labelled images of semi-supervised batches, and from no others.

    The unlabelled images are not read; they still say how long an epoch is, so that
    runs by other methods are as long.

    Args:
        backbone: See `ConsistencyMethod`; so are all other arguments.
    """

    unlabeled_views = ()

    def __init__(self, backbone: keras.Model, num_classes: int | None = None, **kwargs):
        kwargs.setdefault("name", "supervised")
        super().__init__(backbone, num_classes, **kwargs)

    def logged_terms(self):
        return ()

    def prepare(self, batch):
        views, labels, weights = self.unpack(batch)
        self.check_views(views)
        return self.student.examples(views["image"], labels, weights)

    objective = AveragedClassifier.objective
