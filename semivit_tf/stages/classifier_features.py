"""The features that a classifier gives to its head, and what it answers."""

import numpy as np
import tensorflow as tf

from semivit_tf.export.features import features_and_logits


def features_and_answers(network, batches, say=None):
    """Returns features `[N, D]` and probabilities `[N, K]` of one pass of batches.

    Args:
        network: Classifier.
        batches: Iterable of `(images, labels)`.
        say: Optional function that is told how many images were looked at.
    """

    @tf.function(reduce_retracing=True)
    def look(images):
        features, logits = features_and_logits(network, images)
        return features, tf.nn.softmax(logits)

    found, done = [], 0
    for images, _ in batches:
        found.append([one.numpy() for one in look(images)])
        done += len(images)
        if say is not None:
            say(done)
    return tuple(np.concatenate(part) for part in zip(*found, strict=True))
