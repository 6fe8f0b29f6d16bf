"""Images unlike every class: how far they are from all that are known, and the limit.

An image is as foreign as it is far from the most similar labelled image. The labelled
images themselves say how far is too far: each is compared with all others. Of images
that are drawn as they are, about a chosen share is beyond the limit.

Reference:
    Sun et al., Out-of-Distribution Detection with Deep Nearest Neighbors, 2022; here
    the features are whitened, since some of their directions vary most for reasons
    that all images share.
"""

import math

import numpy as np

_CHUNK = 2**24  # similarities at a time, at most
_FITTED = 20_000  # features that whitening is fitted to, at most


def whitening(features):
    """Returns a function that whitens features `[N, D]` and gives them unit length.

    Directions count by the root of their variance, plus the mean variance: so few
    features are enough, and directions in which nothing varies stay small.

    Args:
        features: Float array `[M, D]` to which it is fitted. They need no labels.
    """
    step = -(-len(features) // _FITTED)
    some = np.asarray(features[::step], "float64")
    center = some.mean(axis=0)
    centered = some - center
    variances, axes = np.linalg.eigh(centered.T @ centered / len(some))
    variances = np.maximum(variances, 0)
    scales = np.sqrt(variances + max(variances.mean(), np.finfo("float64").tiny))

    def whiten(features):
        found = (np.asarray(features, "float64") - center) @ axes / scales
        lengths = np.linalg.norm(found, axis=1, keepdims=True)
        return found / np.maximum(lengths, np.finfo("float64").tiny)

    return whiten


def foreignness(queries, known):
    """Returns the distance `[M]` of each query to the most similar known features.

    Args:
        queries: Float array `[M, D]` of unit length; None for the known ones, each of
            which is then compared with all others.
        known: Float array `[N, D]` of unit length.

    Returns:
        One minus the cosine similarity: 0 for what is known, 2 for its opposite.
    """
    alone = queries is None
    queries = known if alone else queries
    size, found = max(1, _CHUNK // len(known)), [np.empty(0)]
    for start in range(0, len(queries), size):
        similarity = queries[start : start + size] @ known.T
        if alone:
            rows = np.arange(len(similarity))
            similarity[rows, start + rows] = -np.inf
        found.append(1 - similarity.max(axis=1))
    return np.concatenate(found)


def fewest_known(false_alarms):
    """Returns how many labelled images a limit for this share of false alarms needs."""
    return math.ceil(round(1 / false_alarms, 9)) - 1


def foreign_limit(distances, false_alarms):
    """Returns the distance beyond which images are foreign.

    It is the `ceil((N + 1) (1 - false_alarms))`-th smallest of the distances, as in
    conformal prediction: an image that is drawn as these were is beyond it with a
    probability of `false_alarms` at most.

    Args:
        distances: Float array `[N]`: `foreignness` of labelled images among themselves,
            at least `fewest_known`.
        false_alarms: Float. The share of such images that may be taken for foreign.
    """
    count = len(distances)
    if count < fewest_known(false_alarms):
        raise ValueError(
            f"`distances` should be of at least {fewest_known(false_alarms)} images "
            f"for false_alarms={false_alarms}. Received: {count}"
        )
    place = math.ceil(round((count + 1) * (1 - false_alarms), 9))
    return float(np.sort(distances)[place - 1])


def foreign_share(found, count, false_alarms):
    """Returns the share of foreign images, without what is expected of false alarms.

    Args:
        found: Integer. Images beyond the limit.
        count: Integer. Images that were compared.
        false_alarms: Float, see `foreign_limit`.
    """
    return max(0.0, (found / count - false_alarms) / (1 - false_alarms))
