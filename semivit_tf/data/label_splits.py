"""Splits of training images: labelled, unlabelled, and kept for validation."""

import csv
import dataclasses

import numpy as np

from semivit_tf.data.hand_labels import joined_by_hand
from semivit_tf.data.order import permutation

PARTS = ("labeled", "unlabeled", "validation")


@dataclasses.dataclass(frozen=True)
class LabelSplit:
    """Disjoint, sorted index lists into one training source.

    `hand_labels` has the index and the label of each image that a person has labelled.
    """

    labeled: np.ndarray
    unlabeled: np.ndarray
    validation: np.ndarray
    hand_labels: tuple = ()

    def same(self, other):
        """Returns whether two splits are equal."""
        return self.hand_labels == other.hand_labels and all(
            np.array_equal(getattr(self, part), getattr(other, part)) for part in PARTS
        )

    def write_csv(self, file):
        """Writes one row per image, sorted by index, to an open text file."""
        lists = [getattr(self, part) for part in PARTS]
        names = np.repeat(PARTS, [len(one) for one in lists])
        indices = np.concatenate(lists)
        order = np.argsort(indices)
        rows = zip(indices[order].tolist(), names[order].tolist(), strict=True)
        header, labels = ("index", "part"), dict(self.hand_labels)
        if labels:
            header = (*header, "hand_label")
            rows = ((*row, labels.get(row[0], "")) for row in rows)
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(header)
        writer.writerows(rows)

    @classmethod
    def read_csv(cls, file):
        """Reads what `write_csv` wrote; raises a `ValueError` for anything else."""
        lists, labels = {part: [] for part in PARTS}, []
        try:
            for row in csv.DictReader(file):
                lists[row["part"]].append(int(row["index"]))
                if row.get("hand_label"):
                    labels.append((int(row["index"]), int(row["hand_label"])))
            found = {part: np.array(lists[part], np.int64) for part in PARTS}
            return cls(**found, hand_labels=tuple(labels))
        except (csv.Error, KeyError, OverflowError, TypeError, ValueError) as error:
            raise ValueError(
                "A split should be a table of `index`, an integer, and `part`, one of "
                f"{', '.join(PARTS)}"
            ) from error


def read_index_list(path, count):
    """Returns the indices in the column `Index` of a published list, sorted.

    Args:
        path: Path of a CSV file. Its integers count images as ImageFolder lists them.
        count: Integer. How many images there are.
    """
    with open(path, encoding="utf-8-sig", newline="") as file:
        reader = csv.DictReader(file)
        if "Index" not in (reader.fieldnames or ()):
            raise ValueError(f"{path} should have a column Index. Received: none")
        try:
            indices = np.array([int(row["Index"]) for row in reader], np.int64)
        except (TypeError, ValueError) as error:
            raise ValueError(f"{path} should hold integers: {error}") from error
    if len(np.unique(indices)) < len(indices):
        raise ValueError(f"{path} should name each image once")
    if len(indices) and not 0 <= indices.min() <= indices.max() < count:
        raise ValueError(
            f"{path} should count the {count} images from 0. Received: "
            f"{indices.min()} to {indices.max()}"
        )
    return np.sort(indices)


def _check(labels_per_class, label_fraction, validation_per_class):
    if labels_per_class is not None and label_fraction is not None:
        raise ValueError(
            "Give `labels_per_class` or `label_fraction`, not both. Received: "
            f"labels_per_class={labels_per_class}, label_fraction={label_fraction}"
        )
    if labels_per_class is not None and labels_per_class < 1:
        raise ValueError(
            f"`labels_per_class` should be at least 1. Received: {labels_per_class}"
        )
    if label_fraction is not None and not 0 < label_fraction <= 1:
        raise ValueError(
            f"`label_fraction` should be in (0, 1]. Received: {label_fraction}"
        )
    if validation_per_class < 0:
        raise ValueError(
            "`validation_per_class` should not be negative. "
            f"Received: {validation_per_class}"
        )


def _members_by_class(labels, usable, class_names, seed):
    """Yields the name, size and shuffled indices of each class."""
    order = np.argsort(labels, kind="stable")
    order = order[usable[order]]
    bounds = np.searchsorted(labels[order], np.arange(len(class_names) + 1))
    for number, name in enumerate(class_names):
        members = order[bounds[number] : bounds[number + 1]]
        yield name, members[permutation(len(members), (seed, number))]


def split_labels(
    labels,
    class_names,
    *,
    labels_per_class=None,
    label_fraction=None,
    validation_per_class=0,
    seed=0,
    labeled=None,
    unlabeled=None,
    validation=(),
    groups=None,
    excluded=(),
):
    """Chooses labelled and validation images in every class; the rest is unlabelled.

    Which images are labelled does not depend on how many are for validation, and fewer
    labels are always some of those that more labels would be.

    Args:
        labels: Integer array `[N]`; images with a negative label stay unlabelled.
        class_names: Sequence of K strings.
        labels_per_class: Integer. Labelled images in each class.
        label_fraction: Float in (0, 1]. Instead: `max(1, round(fraction * size))` of
            each class. With neither, everything is labelled.
        validation_per_class: Integer. Further images of each class, used to compare
            models and never to train them.
        seed: Integer.
        labeled: Optional indices that are labelled, instead of choosing any.
        unlabeled: Optional indices that may be unlabelled; by default, all others.
        validation: Indices that the data set itself keeps for validation.
        groups: Optional integer array `[N]`. Whole groups go to validation, until
            there are enough images, and their images are not used otherwise.
        excluded: Indices that are not used at all.

    Returns:
        A `LabelSplit`.
    """
    _check(labels_per_class, label_fraction, validation_per_class)
    labels = np.asarray(labels)
    free, given = _usable(len(labels), excluded, validation, groups)
    members = dict(_members_by_class(labels, free, class_names, seed))
    aside = _validation(members, free, groups, validation_per_class)
    free[aside] = False
    if labeled is None:
        labeled = _joined(
            _choose_labeled(name, one, free, labels_per_class, label_fraction)
            for name, one in members.items()
        )
    else:
        labeled = np.flatnonzero(_mask(labeled, len(labels)) & free & (labels >= 0))
    free[labeled] = False
    if unlabeled is not None:
        free &= _mask(unlabeled, len(labels))
    return LabelSplit(
        labeled=np.sort(labeled),
        unlabeled=np.flatnonzero(free),
        validation=np.sort(np.append(given, aside[labels[aside] >= 0])),
    )


def _mask(indices, count):
    mask = np.zeros(count, bool)
    mask[np.asarray(indices, np.int64)] = True
    return mask


def _usable(count, excluded, validation, groups):
    """Returns which images may be chosen `[N]`, and the indices given for validation.

    Other images of a group that is in validation are not used.
    """
    usable, given = ~_mask(excluded, count), _mask(validation, count)
    if groups is not None and given.any():
        usable &= given | ~np.isin(groups, groups[given])
    return usable & ~given, np.flatnonzero(usable & given)


def _joined(chosen):
    """Returns the indices chosen in all classes; there may be no classes."""
    return np.concatenate([np.empty(0, np.int64), *chosen])


def _validation(members, free, groups, count):
    """Returns the indices to keep for validation: of each class, or whole groups."""
    if not count:
        return np.empty(0, np.int64)
    aside = _joined(_last(name, one, groups, count) for name, one in members.items())
    if groups is None:
        return aside
    # All images of those groups, also of other classes and without labels.
    return np.flatnonzero(np.isin(groups, groups[aside]) & free)


def _last(name, members, groups, count):
    """Returns the last `count` members of a class, or more to complete groups."""
    if len(members) < count:
        raise ValueError(
            f"Class {name!r} has {len(members)} images, too few for {count} validation "
            "images"
        )
    if groups is None:
        return members[len(members) - count :]
    own = groups[members]
    found, places, sizes = np.unique(own[::-1], return_index=True, return_counts=True)
    order = np.argsort(places)
    enough = np.searchsorted(np.cumsum(sizes[order]), count) + 1
    return members[np.isin(own, found[order[:enough]])]


def _choose_labeled(name, members, free, labels_per_class, label_fraction):
    left = members[free[members]]
    wanted = max(len(left), 1)
    if labels_per_class is not None:
        wanted = labels_per_class
    elif label_fraction is not None:
        wanted = max(1, round(label_fraction * len(members)))
    if wanted > len(left):
        raise ValueError(
            f"Class {name!r} has {len(members)} images, too few for {wanted} labelled "
            f"and {len(members) - len(left)} validation images"
        )
    return left[:wanted]


def split_parts(parts, *, labeled_index=None, unlabeled_index=None, seed=0, **options):
    """Splits the training source of `Parts`, see `split_labels`.

    Images that were labelled by hand are labelled ones besides those chosen.

    Args:
        parts: `Parts`.
        labeled_index: Optional path of a published list of labelled images, see
            `read_index_list`.
        unlabeled_index: Optional path of a list of those to use without labels.
        seed: Integer.
        **options: `labels_per_class`, `label_fraction`, `validation_per_class`.
    """
    lists = {
        name: read_index_list(path, len(parts.train))
        for name, path in (("labeled", labeled_index), ("unlabeled", unlabeled_index))
        if path
    }
    own = parts.own_labels
    split = split_labels(
        parts.train.labels if own is None else own,
        parts.train.class_names,
        seed=seed,
        validation=parts.validation,
        groups=parts.train.groups,
        excluded=parts.bad,
        **lists,
        **options,
    )
    return joined_by_hand(split, parts)
