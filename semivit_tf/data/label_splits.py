"""Which images are labelled, which unlabelled, and which are kept for validation?"""

import csv
import dataclasses

import numpy as np

from semivit_tf.data.order import permutation

PARTS = ("labeled", "unlabeled", "validation")


@dataclasses.dataclass(frozen=True)
class LabelSplit:
    """Disjoint, sorted index lists into one training source."""

    labeled: np.ndarray
    unlabeled: np.ndarray
    validation: np.ndarray

    def rows(self):
        """Returns `(index, part)` rows, sorted by index."""
        return sorted(
            (int(index), part) for part in PARTS for index in getattr(self, part)
        )

    def write_csv(self, file):
        """Writes one row per image, to an open text file."""
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(("index", "part"))
        writer.writerows(self.rows())

    @classmethod
    def read_csv(cls, file):
        """Reads what `write_csv` wrote."""
        lists = {part: [] for part in PARTS}
        for row in csv.DictReader(file):
            lists[row["part"]].append(int(row["index"]))
        return cls(**{part: np.array(lists[part], np.int64) for part in PARTS})


def split_labels(
    labels,
    class_names,
    *,
    labels_per_class=None,
    label_fraction=None,
    validation_per_class=0,
    seed=0,
):
    """Chooses labelled and validation images in every class; the rest is unlabelled.

    Args:
        labels: Integer array `[N]`; images with a negative label stay unlabelled.
        class_names: Sequence of K strings.
        labels_per_class: Integer. Labelled images in each class.
        label_fraction: Float in (0, 1]. Instead: `max(1, round(fraction * size))` of
            each class. With neither, everything is labelled.
        validation_per_class: Integer. Further images of each class, whose labels are
            used to compare and never to learn.
        seed: Integer.

    Returns:
        A `LabelSplit`.
    """
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
    labels = np.asarray(labels)
    labeled, validation = [], []
    for number, name in enumerate(class_names):
        members = np.flatnonzero(labels == number)
        members = members[permutation(len(members), (seed, number))]
        free = len(members) - validation_per_class
        if labels_per_class is not None:
            wanted = labels_per_class
        elif label_fraction is not None:
            wanted = max(1, round(label_fraction * len(members)))
        else:
            wanted = max(free, 1)
        if wanted > free:
            raise ValueError(
                f"Class {name!r} has {len(members)} images, too few for {wanted} "
                f"labelled and {validation_per_class} validation images"
            )
        labeled.append(members[:wanted])
        validation.append(members[wanted : wanted + validation_per_class])
    labeled = np.sort(np.concatenate(labeled))
    validation = np.sort(np.concatenate(validation))
    used = np.concatenate([labeled, validation])
    unlabeled = np.setdiff1d(np.arange(len(labels)), used)
    return LabelSplit(labeled, unlabeled, validation)
