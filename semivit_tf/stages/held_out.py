"""The images that nothing was learned from, and what classifiers answer on them."""

import numpy as np
import tensorflow as tf

from semivit_tf.stages.starting_weights import Source, kept_by, starting_weights


def held_out(run):
    """Returns the name and batches of the images to report on, or two Nones."""
    for part in ("test", "validation"):
        batches = getattr(run.data, part)()
        if batches is not None:
            return part, batches
    return None, None


def held_out_index(run, part):
    """Returns the places in their source of the images of a part, in order."""
    if part == "validation":
        return run.data.split.validation
    parts = run.data.parts
    return np.setdiff1d(np.arange(len(parts.test)), parts.bad_test)


def continued(run, trained):
    """Returns the `Kept` classifier that a stage learned on from, or None."""
    source = starting_weights(run, trained)
    if source == Source() or not trained.kind.needs_weights(run.settings(trained)):
        return None
    return kept_by(run, source, "student")


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


def classes_of(predict, kept, batches):
    """Returns labels `[N]` and the classes `[N]` that weights predict.

    Args:
        predict: What `predict_with` returned.
        kept: `Kept`.
        batches: Iterable of `(images, labels)`.
    """
    labels, scores = predict(kept, batches)
    return labels, scores.sum(axis=1).argmax(axis=1)


def probabilities_of(scores):
    """Returns the probabilities `[N, K]` of the sum of all streams."""
    return tf.nn.softmax(scores.sum(axis=1)).numpy()
