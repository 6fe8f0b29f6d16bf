"""Folds of labelled images, for cross-validation."""

import numpy as np

from semivit_tf.data.order import permutation

_STREAM = 1_000_003  # of random numbers, apart from those of the split


def fold_numbers(labels, folds, seed=0, groups=None):
    """Returns the fold `[N]`, from 0 on, of each image.

    Folds have as many images as each other, up to one, and so does each class in them.
    With groups, that holds for groups: their images stay together.

    Args:
        labels: Integer array `[N]`.
        folds: Integer.
        seed: Integer.
        groups: Optional integer array `[N]`.
    """
    labels = np.asarray(labels)
    groups = np.arange(len(labels)) if groups is None else np.asarray(groups)
    order = permutation(len(labels), (seed, _STREAM))
    order = order[np.argsort(labels[order], kind="stable")]  # by class
    _, first, group = np.unique(groups[order], return_index=True, return_inverse=True)
    if not 2 <= folds <= len(first):
        raise ValueError(
            f"`folds` should be from 2 to the {len(first)} labelled images, or groups "
            f"of them. Received: {folds}"
        )
    # Dealt out like cards, in the order in which groups first come.
    place = np.empty(len(first), np.int64)
    place[np.argsort(first)] = np.arange(len(first))
    found = np.empty(len(labels), np.int64)
    found[order] = place[group] % folds
    return found
