"""Splits: disjoint, complete, balanced, and the same for the same seed."""

import io
import time

import numpy as np
import pytest

from semivit_tf.data.label_splits import (
    LabelSplit,
    read_index_list,
    split_labels,
)

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


def test_fewer_labels_are_some_of_more_labels():
    few, more = (split_labels(LABELS, NAMES, labels_per_class=n) for n in (3, 7))
    assert set(few.labeled) < set(more.labeled)


def test_whole_groups_go_to_validation():
    groups = np.arange(100) // 3
    split = split_labels(
        LABELS, NAMES, labels_per_class=2, validation_per_class=4, groups=groups
    )
    aside = set(groups[split.validation])
    others = np.concatenate([split.labeled, split.unlabeled])
    assert aside and not aside & set(groups[others])
    assert sorted(np.concatenate(parts(split))) == list(range(100))
    counts = np.bincount(LABELS[split.validation])
    assert (counts >= 4).all() and len(split.validation) < 40


def test_images_without_label_in_a_group_of_validation_are_not_used():
    labels = LABELS.copy()
    labels[::5] = -1
    groups = np.arange(100) // 5
    split = split_labels(
        labels, NAMES, labels_per_class=2, validation_per_class=3, groups=groups
    )
    aside = set(groups[split.validation])
    unused = np.setdiff1d(np.arange(100), np.concatenate(parts(split)))
    assert set(groups[unused]) == aside and (labels[unused] == -1).all()


def test_images_put_aside_beforehand_keep_their_groups_out_of_training():
    groups = np.arange(100) // 4
    split = split_labels(LABELS, NAMES, validation=[0, 50], groups=groups)
    np.testing.assert_array_equal(split.validation, [0, 50])
    np.testing.assert_array_equal(
        split.labeled, np.setdiff1d(np.arange(100), [0, 1, 2, 3, 48, 49, 50, 51])
    )


def test_lists_and_exclusions_are_followed():
    split = split_labels(
        LABELS, NAMES, labeled=[5, 9, 20], validation=[9], excluded=[20, 30]
    )
    assert split.labeled.tolist() == [5] and split.validation.tolist() == [9]
    np.testing.assert_array_equal(
        split.unlabeled, np.setdiff1d(np.arange(100), [5, 9, 20, 30])
    )
    split = split_labels(LABELS, NAMES, labeled=[5], unlabeled=[5, 6, 7])
    assert split.unlabeled.tolist() == [6, 7]


def test_published_lists_are_read(tmp_path):
    path = tmp_path / "train_1p_index.csv"
    path.write_text(",Index\n0,7\n1,3\n")
    assert read_index_list(path, 8).tolist() == [3, 7]
    for text, message in (
        ("Number\n1\n", "column Index"),
        ("Index\nx\n", "integers"),
        ("Index\n1\n1\n", "once"),
        ("Index\n8\n", "count the 8 images"),
    ):
        path.write_text(text)
        with pytest.raises(ValueError, match=message):
            read_index_list(path, 8)


def test_a_list_of_the_size_of_imagenet_splits_in_seconds():
    labels = np.random.default_rng(0).integers(0, 1000, 1_300_000)
    names = [str(number) for number in range(1000)]
    started = time.process_time()
    split = split_labels(labels, names, label_fraction=0.01, validation_per_class=2)
    assert time.process_time() - started < 2.0
    assert len(split.validation) == 2000 and 12_900 < len(split.labeled) < 13_100


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
