"""Accuracy of nearest neighbours, to watch features while they are learned."""

import keras
import numpy as np
import tensorflow as tf

from semivit_tf.evaluation.features import extract_features
from semivit_tf.evaluation.nearest_neighbors import vote_of_neighbors


class NeighborAccuracy(keras.callbacks.Callback):
    """Logs how often the nearest labelled images have an image's class.

    It is measured on the validation images. Without any, each labelled image is
    classified by the others.

    Args:
        name: String. Whose features they are, such as `teacher`.
        encode: Function from images to features.
        labeled: Iterable of `(images, labels)`, one pass.
        validation: Optional iterable, likewise.
        num_classes: Integer.
        epochs: Numbers of the epochs after which to measure.
        count: Integer. Neighbours that vote.
    """

    def __init__(
        self, name, encode, labeled, validation, num_classes, epochs, count=10
    ):
        super().__init__()
        self.name = f"{name}_knn_accuracy"
        self.encode = tf.function(encode, reduce_retracing=True)
        self.labeled = labeled
        self.validation = validation
        self.num_classes = num_classes
        self.epochs = frozenset(epochs)
        self.count = count

    def measure(self):
        """Returns the accuracy now."""
        known, labels = extract_features(self.encode, self.labeled)
        queries, truth = None, labels
        if self.validation is not None:
            queries, truth = extract_features(self.encode, self.validation)
        voted = vote_of_neighbors(known, labels, queries, self.num_classes, self.count)
        return float(np.mean(voted == truth))

    def on_epoch_end(self, epoch, logs=None):
        if epoch + 1 in self.epochs and logs is not None:
            logs[self.name] = self.measure()
