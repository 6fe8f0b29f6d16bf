"""The features that a classifier gives to its head, and what it answers."""

import numpy as np
import tensorflow as tf

from semivit_tf.export.features import side_by_side


def features_and_answers(network, batches, say=None):
    """Returns features `[N, D]` and probabilities `[N, K]` of one pass of batches.

    Args:
        network: Classifier.
        batches: Iterable of `(images, labels)`.
        say: Optional function that is told how many images were looked at.
    """

    @tf.function(reduce_retracing=True)
    def look(images):
        features = network.backbone(images, training=False)
        scores = tf.cast(network.head(features), "float32")
        if scores.shape.rank == 3:  # of two streams, whose sum answers
            scores = tf.reduce_sum(scores, axis=1)
        return side_by_side(features), tf.nn.softmax(scores)

    found, done = [], 0
    for images, _ in batches:
        found.append([one.numpy() for one in look(images)])
        done += len(images)
        if say is not None:
            say(done)
    return tuple(np.concatenate(part) for part in zip(*found, strict=True))
