"""Classes of different sizes, made to count alike."""

import numpy as np
import tensorflow as tf


def class_counts(labels, num_classes):
    """Returns how many images each class has: `[K]`."""
    return np.bincount(np.asarray(labels), minlength=num_classes)


def balancing_weights(counts):
    """Returns a weight for each class: equal sums for classes, and mean 1 of images.

    Args:
        counts: Integer array `[K]`; a class without images gets 0.
    """
    there = counts > 0
    share = counts.sum() / there.sum()
    return np.where(there, share / np.maximum(counts, 1), 0.0).astype("float32")


def weighted(batches, weights):
    """Adds the weights `[B]` of labels to batches `(inputs, label [B])`."""
    table = tf.constant(weights)
    return batches.map(lambda inputs, label: (inputs, label, tf.gather(table, label)))
