"""Precision and recall of generated images, by balls around features."""

import numpy as np
from scipy.spatial.distance import cdist

_CHUNK = 2**24  # distances at a time, at most


def distances_to_nearest(queries, known, count=1):
    """Returns distances to the nearest known features, and their places.

    Args:
        queries: Float array `[M, D]`.
        known: Float array `[N, D]`, N at least `count`.
        count: Integer. How many neighbours.

    Returns:
        Tuple of float and integer arrays `[M, count]`, the nearest first.
    """
    distances, places = [], []
    for some in _in_parts(queries, len(known)):
        found = cdist(some, known)
        # Of equal distances the first place comes first.
        nearest = np.argsort(found, axis=1, kind="stable")[:, :count]
        distances.append(np.take_along_axis(found, nearest, axis=1))
        places.append(nearest)
    return np.concatenate(distances), np.concatenate(places)


def _in_parts(queries, known):
    size = max(1, _CHUNK // known)
    return [queries[start : start + size] for start in range(0, len(queries), size)]


def radii(features, neighbors=3):
    """Returns the distance `[N]` from each of the features to its n-th neighbour."""
    if len(features) <= neighbors:
        raise ValueError(
            f"`features` should be of more than {neighbors} images, the neighbours. "
            f"Received: {len(features)}"
        )
    found, _ = distances_to_nearest(features, features, neighbors + 1)
    return found[:, neighbors]  # it is its own nearest


def share_inside(queries, centers, radii):
    """Returns the share of queries `[M, D]` inside of any ball around centers."""
    inside = [
        (cdist(some, centers) <= radii).any(axis=1)
        for some in _in_parts(queries, len(centers))
    ]
    return float(np.mean(np.concatenate(inside)))


def precision_and_recall(generated, real, neighbors=3):
    """Returns how real generated features look, and how much of the real they cover.

    The precision is the share of generated features inside of a ball around a real one
    that reaches to its third neighbour among the real; the recall is the reverse.

    Args:
        generated: Float array `[M, D]`.
        real: Float array `[N, D]`.
        neighbors: Integer.

    Reference:
        Kynkäänniemi et al., Improved Precision and Recall Metric for Assessing
        Generative Models, 2019.
    """
    return (
        share_inside(generated, real, radii(real, neighbors)),
        share_inside(real, generated, radii(generated, neighbors)),
    )
