"""Labelled images are dealt out to folds."""

import numpy as np
import pytest

from semivit_tf.data.folds import fold_numbers


def test_folds_and_classes_in_them_are_of_equal_sizes():
    """4 labels of each of 7 classes and 5 folds: 28 images, one or none of a class."""
    labels = np.arange(28) % 7
    found = fold_numbers(labels, 5, seed=3)
    assert sorted(np.bincount(found)) == [5, 5, 6, 6, 6]
    for number in range(5):
        assert np.bincount(labels[found == number]).max() == 1
    even = fold_numbers(labels, 4)
    assert all(
        np.bincount(labels[even == number]).tolist() == [1] * 7 for number in range(4)
    )


def test_a_seed_says_which_images_go_where():
    labels = np.arange(40) % 10
    one, again, other = (fold_numbers(labels, 5, seed) for seed in (0, 0, 1))
    assert (one == again).all() and (one != other).any()


def test_a_group_stays_together():
    labels, groups = np.arange(40) % 4, np.arange(40) // 4
    found = fold_numbers(labels, 5, groups=groups)
    for group in range(10):
        assert len(set(found[groups == group])) == 1
    assert np.bincount(found).tolist() == [8] * 5  # two groups of four


@pytest.mark.parametrize("folds", [1, 7])
def test_there_are_no_more_folds_than_images(folds):
    with pytest.raises(ValueError, match="from 2 to the 6 labelled images"):
        fold_numbers(np.zeros(6, int), folds)
