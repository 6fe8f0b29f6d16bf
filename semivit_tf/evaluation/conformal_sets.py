"""Conformal sets: classes of an image, of which one is right as often as asked for.

Split conformal prediction. The score of a held-out image is one minus the probability
of its class. A set holds all classes whose score is not above the
`ceil((n + 1) coverage)`-th smallest of the n scores. For images that are drawn like
those n, the class is in the set with a probability from `coverage` to
`coverage + 1 / (n + 1)`, whatever the network.

Sets by this score are the smallest on average. Some are empty: no class is as probable
as it should be.

Reference:
    Sadinle et al., Least Ambiguous Set-Valued Classifiers with Bounded Error Levels,
    2019.
"""

import math

import numpy as np

from semivit_tf.evaluation.interval import share_interval


def least_probability(labels, probabilities, coverage):
    """Returns how probable a class has to be to belong to an image's set.

    Args:
        labels: Integer array `[N]` of held-out images.
        probabilities: Float array `[N, K]`.
        coverage: Float. How often the class should be in the set.

    Returns:
        Float; 0 where the images are too few to leave any class out.
    """
    count = len(labels)
    right = np.asarray(probabilities)[np.arange(count), labels]
    place = math.ceil(round((count + 1) * coverage, 9))
    if place > count:
        return 0.0
    return float(np.sort(right)[count - place])  # the highest scores are the lowest


def measure_sets(labels, probabilities, least):
    """Returns how often sets hold the class of their image, and how large they are.

    Args:
        labels: Integer array `[N]`.
        probabilities: Float array `[N, K]`.
        least: Float, see `least_probability`.
    """
    sets = np.asarray(probabilities) >= least
    covered = float(sets[np.arange(len(labels)), labels].mean())
    sizes = sets.sum(axis=1)
    return {
        "images": len(labels),
        "coverage": covered,
        "coverage_interval": list(share_interval(covered, len(labels))),
        "mean_size": float(sizes.mean()),
        "empty": int((sizes == 0).sum()),
        "of_one_class": int((sizes == 1).sum()),
    }
