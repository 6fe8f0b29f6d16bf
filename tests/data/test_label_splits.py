"""Splits: disjoint, complete, balanced, and the same for the same seed."""

import io

import numpy as np
import pytest

from semivit_tf.data.label_splits import LabelSplit, split_labels

LABELS = np.repeat(np.arange(4), [10, 25, 50, 15])
NAMES = ["a", "b", "c", "d"]


def parts(split):
    return [split.labeled, split.unlabeled, split.validation]


def test_parts_are_disjoint_and_cover_the_training_images():
    split = split_labels(
        LABELS, NAMES, labels_per_class=3, validation_per_class=2, seed=0
    )
    assert [len(part) for part in parts(split)] == [12, 80, 8]
    assert sorted(np.concatenate(parts(split))) == list(range(100))
    np.testing.assert_array_equal(np.bincount(LABELS[split.labeled]), [3, 3, 3, 3])
    np.testing.assert_array_equal(np.bincount(LABELS[split.validation]), [2, 2, 2, 2])


def test_a_fraction_rounds_half_to_even_and_takes_at_least_one():
    split = split_labels(LABELS, NAMES, label_fraction=0.1)
    # round(1.0), round(2.5) = 2, round(5.0), round(1.5) = 2
    np.testing.assert_array_equal(np.bincount(LABELS[split.labeled]), [1, 2, 5, 2])
    few = split_labels(LABELS, NAMES, label_fraction=0.001)
    np.testing.assert_array_equal(np.bincount(LABELS[few.labeled]), [1, 1, 1, 1])


def test_same_seed_same_list_other_seed_other_list():
    first, again, other = (
        split_labels(LABELS, NAMES, labels_per_class=3, seed=seed) for seed in (1, 1, 2)
    )
    np.testing.assert_array_equal(first.labeled, again.labeled)
    assert set(first.labeled) != set(other.labeled)


def test_more_validation_does_not_change_who_is_labelled():
    plain, checked = (
        split_labels(LABELS, NAMES, labels_per_class=3, validation_per_class=count)
        for count in (0, 4)
    )
    np.testing.assert_array_equal(plain.labeled, checked.labeled)


def test_without_a_number_everything_is_labelled():
    split = split_labels(LABELS, NAMES, validation_per_class=1)
    assert [len(part) for part in parts(split)] == [96, 0, 4]


def test_unknown_labels_stay_unlabelled():
    labels = np.where(np.arange(100) % 2, LABELS, -1)
    split = split_labels(labels, NAMES, labels_per_class=2)
    assert (labels[split.labeled] >= 0).all()
    assert set(np.flatnonzero(labels < 0)) <= set(split.unlabeled)


def test_csv_round_trip():
    split = split_labels(LABELS, NAMES, labels_per_class=3, validation_per_class=1)
    file = io.StringIO()
    split.write_csv(file)
    assert file.getvalue().splitlines()[0] == "index,part"
    file.seek(0)
    for ours, read in zip(parts(split), parts(LabelSplit.read_csv(file)), strict=True):
        np.testing.assert_array_equal(ours, read)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"labels_per_class": 11}, "Class 'a' has 10 images, too few for 11"),
        ({"labels_per_class": 0}, "at least 1"),
        ({"label_fraction": 1.5}, r"in \(0, 1\]"),
        ({"labels_per_class": 1, "label_fraction": 0.1}, "not both"),
        ({"validation_per_class": -1}, "not be negative"),
    ],
)
def test_impossible_splits_are_refused(options, message):
    with pytest.raises(ValueError, match=message):
        split_labels(LABELS, NAMES, **options)
