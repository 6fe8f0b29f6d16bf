"""Cross-validation of features: each image is classified by those of other folds."""

import numpy as np

from semivit_tf.evaluation.interval import share_interval
from semivit_tf.evaluation.linear_probe import probe_scores
from semivit_tf.evaluation.nearest_neighbors import vote_of_neighbors

NEIGHBORS = 10


def cross_validate(features, labels, folds, num_classes):
    """Returns how well neighbours and a linear probe classify the images of folds.

    Args:
        features: Float array `[N, D]`.
        labels: Integer array `[N]`.
        folds: Integer array `[N]`: the fold of each image.
        num_classes: Integer.
    """
    voted = np.empty_like(labels)
    for number in np.unique(folds):
        apart = folds == number
        known = features[~apart], labels[~apart], features[apart], num_classes
        voted[apart] = vote_of_neighbors(*known, NEIGHBORS)
    linear = held_out_scores(features, labels, folds, num_classes).argmax(axis=1)
    return {
        "folds": len(np.unique(folds)),
        "images": len(labels),
        "nearest_neighbors": counted(voted == labels),
        "linear": counted(linear == labels),
    }


def held_out_scores(features, labels, folds, num_classes, penalty=None):
    """Returns the scores `[N, K]` of linear probes that learned the other folds.

    Args:
        features: Float array `[N, D]`; so are the next three as of `cross_validate`.
        labels: Integer array `[N]`.
        folds: Integer array `[N]`.
        num_classes: Integer K.
        penalty: See `linear_probe`.
    """
    found = np.empty((len(labels), num_classes))
    for number in np.unique(folds):
        apart = folds == number
        found[apart], _ = probe_scores(
            features[~apart], labels[~apart], features[apart], num_classes, penalty
        )
    return found


def counted(right):
    """Returns the share of images that are right `[N]`, and its interval."""
    accuracy = float(np.mean(right))
    interval = list(share_interval(accuracy, len(right)))
    return {"accuracy": accuracy, "accuracy_interval": interval}
