"""The images that nothing was learned from, and what classifiers answer on them."""

import numpy as np
import tensorflow as tf


def held_out(run):
    """Returns the name and batches of the images to report on, or two Nones."""
    for part in ("test", "validation"):
        batches = getattr(run.data, part)()
        if batches is not None:
            return part, batches
    return None, None


def predict_with(network, run):
    """Returns a function from `Kept` weights and batches to labels and scores."""

    @tf.function(reduce_retracing=True)
    def scores_of(images):
        return network.scores(images, training=False)

    def predict(kept, batches):
        kept.load(run, network)
        pairs = [(labels, scores_of(images)) for images, labels in batches]
        return tuple(np.concatenate(part) for part in zip(*pairs, strict=True))

    return predict


def probabilities_of(scores):
    """Returns the probabilities `[N, K]` of the sum of all streams."""
    return tf.nn.softmax(scores.sum(axis=1)).numpy()
