"""Labels that answers of classifiers which have not learned them contradict.

A class is as good as answered where its probability is at least as high as it is on
average for the images with that label. Thresholds of their own make up for classes of
which a classifier is surer than of others.

Reference:
    Northcutt, Jiang and Chuang, Confident Learning: Estimating Uncertainty in Dataset
    Labels, 2021.
"""

import numpy as np


def label_suspects(probabilities, labels):
    """Returns the images whose label is contradicted with confidence.

    Args:
        probabilities: Float array `[N, K]`, of classifiers that have not learned the
            label of the image.
        labels: Integer array `[N]`.

    Returns:
        Tuple of the indices `[M]` of these images, the most contradicted first, and of
        the class `[M]` that is answered in place of each label.
    """
    classes, images = probabilities.shape[1], np.arange(len(labels))
    own = probabilities[images, labels]
    counts = np.bincount(labels, minlength=classes)
    sums = np.bincount(labels, own, minlength=classes)
    # A class that no image has cannot be answered with confidence.
    thresholds = np.where(counts > 0, sums / np.maximum(counts, 1), np.inf)
    confident = np.where(probabilities >= thresholds, probabilities, -1.0)
    answers = confident.argmax(axis=1)
    height = confident[images, answers]
    found = np.flatnonzero((answers != labels) & (height >= 0))
    order = np.argsort(own[found] - height[found], kind="stable")
    return found[order], answers[found[order]]
