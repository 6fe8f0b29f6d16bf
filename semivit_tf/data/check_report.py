"""A report on a set of images, to be read before a run of days.

How many there are of each class and part, which cannot be read, which occur twice, and
above all which test and validation images also occur in training: a model knows those
by heart, and its accuracy on them says nothing.
"""

import numpy as np

from semivit_tf.data.duplicates import (
    duplicate_groups,
    exact_duplicates,
    near_duplicates,
)

TRAINING, HELD_OUT = ("labeled", "unlabeled"), ("validation", "test")
PARTS = (*TRAINING, *HELD_OUT, "excluded")
_CROWD = 32  # in a larger group not all pairs are known: it is taken as a whole


def check_report(labels, class_names, parts, names, scans):
    """Reports what is wrong with a set of images, and what is worth knowing.

    Training and test images are passed together, so that they are compared.

    Args:
        labels: Integer array `[N]`; -1 where unknown.
        class_names: Sequence of K strings.
        parts: Sequence of N strings, each one of `PARTS`.
        names: Sequence of N strings.
        scans: `ImageScan`, or a sequence of them of N images together, in order.

    Returns:
        Dict of lists, dicts, strings and numbers, as JSON takes them. `describe` puts
        it in words.
    """
    scans = scans if isinstance(scans, (list, tuple)) else [scans]
    labels, parts = np.asarray(labels), np.asarray(parts, object)
    counts = len(labels), len(parts), len(names), sum(map(len, scans))
    if len(set(counts)) > 1:
        raise ValueError(
            "There should be as many `labels` as `parts`, `names` and scanned images. "
            f"Received: {', '.join(map(str, counts))}"
        )
    unknown = set(parts) - set(PARTS)
    if unknown:
        raise ValueError(
            f"`parts` should be of {', '.join(PARTS)}. Received: {sorted(unknown)}"
        )
    if counts[0] and labels.max() >= len(class_names):
        raise ValueError(
            "`labels` should be below the number of class names, "
            f"{len(class_names)}. Received: {labels.max()}"
        )
    images = _Images(labels, tuple(class_names), parts, names)
    usable = np.concatenate([scan.readable for scan in scans])
    exact = exact_duplicates(np.concatenate([s.digests for s in scans]), usable)
    fingerprints = np.concatenate([scan.fingerprints for scan in scans])
    pairs, _ = near_duplicates(fingerprints, exact, usable)
    near = duplicate_groups(pairs, exact)
    copied = _exact_partners(images, exact)
    resembling = _near_partners(images, pairs, exact, near)
    return {
        "images": len(labels),
        "parts": {part: int((parts == part).sum()) for part in PARTS},
        **_classes(images),
        "sizes": _sizes(scans, usable),
        "unreadable": _unreadable(images, scans),
        "turned": _turned(scans),
        "exact_duplicates": [images.group(group) for group in exact],
        "near_duplicates": [images.group(group) for group in near],
        "exact_in_training": images.matches(copied),
        "near_in_training": images.matches(
            {index: found for index, found in resembling.items() if index not in copied}
        ),
    }


class _Images:
    """What is known of images by index."""

    def __init__(self, labels, class_names, parts, names):
        self.labels, self.class_names = labels, class_names
        self.parts, self.names = parts, names
        self.training = np.isin(parts.astype(str), TRAINING)
        self.held_out = np.isin(parts.astype(str), HELD_OUT)

    def one(self, index):
        label = self.labels[index]
        return {
            "name": str(self.names[index]),
            "part": str(self.parts[index]),
            "class": self.class_names[label] if label >= 0 else None,
        }

    def group(self, indices):
        """Returns a group of duplicates; `parts` does not count excluded images."""
        known = {int(label) for label in self.labels[indices] if label >= 0}
        present = set(self.parts[indices])
        return {
            "images": [self.one(index) for index in indices],
            "parts": [part for part in PARTS[:-1] if part in present],
            "labels_differ": len(known) > 1,
        }

    def matches(self, partners):
        return [
            {**self.one(index), "training": self.one(partner)}
            for index, partner in sorted(partners.items())
        ]


def _exact_partners(images, groups):
    """Returns held-out index -> index of a training image, where there is one."""
    partners = {}
    for group in groups:
        training = group[images.training[group]]
        for index in group[images.held_out[group]] if len(training) else ():
            partners[int(index)] = int(training[0])
    return partners


def _near_partners(images, pairs, exact, groups):
    """Does for near-duplicates what `_exact_partners` does."""
    copies = {int(group[0]): group for group in exact}
    partners = {}
    for pair in pairs.tolist():
        one, other = (copies.get(index, np.array([index])) for index in pair)
        for held_out, training in ((one, other), (other, one)):
            training = training[images.training[training]]
            for index in held_out[images.held_out[held_out]] if len(training) else ():
                partners.setdefault(int(index), int(training[0]))
    crowds = [group for group in groups if len(group) > _CROWD]
    return {**_exact_partners(images, crowds), **partners}


def _classes(images):
    """Returns counts by class and part, and how uneven they are."""
    known = images.labels >= 0
    counts = {}
    for part in PARTS:
        of_part = images.labels[known & (images.parts == part)]
        counts[part] = np.bincount(of_part, minlength=len(images.class_names))
    training = sum(counts[part] for part in TRAINING)
    return {
        "classes": [
            {"class": name, **{part: int(counts[part][k]) for part in PARTS}}
            for k, name in enumerate(images.class_names)
        ],
        "without_label": {
            part: int((~known & (images.parts == part)).sum()) for part in PARTS
        },
        "imbalance": {
            "labeled": _imbalance(images, counts["labeled"]),
            "training": _imbalance(images, training),
        },
    }


def _imbalance(images, counts):
    if not counts.sum():
        return None
    ends = {"largest": int(counts.argmax()), "smallest": int(counts.argmin())}
    smallest = int(counts.min())
    return {
        **{
            end: {"class": images.class_names[k], "images": int(counts[k])}
            for end, k in ends.items()
        },
        "ratio": int(counts.max()) / smallest if smallest else None,
    }


def _sizes(scans, usable):
    if not usable.any():
        return None
    sides = {
        "height": np.concatenate([scan.heights for scan in scans])[usable],
        "width": np.concatenate([scan.widths for scan in scans])[usable],
    }
    both = np.stack(list(sides.values()), 1)
    sizes, counts = np.unique(both, axis=0, return_counts=True)
    commonest = counts.argmax()
    return {
        **{
            side: {
                "smallest": int(values.min()),
                "median": float(np.median(values)),
                "largest": int(values.max()),
            }
            for side, values in sides.items()
        },
        "distinct": len(sizes),
        "distinct_share": len(sizes) / len(both),
        "commonest": {
            "height": int(sizes[commonest, 0]),
            "width": int(sizes[commonest, 1]),
            "share": float(counts[commonest] / len(both)),
        },
    }


def _unreadable(images, scans):
    found, first = [], 0
    for scan in scans:
        for index in np.flatnonzero(~scan.readable):
            found.append({**images.one(first + index), "reason": scan.reason(index)})
        first += len(scan)
    return found


def _turned(scans):
    """Returns how many images have each EXIF orientation other than upright."""
    orientations = np.concatenate([scan.orientations for scan in scans])
    counts = np.bincount(orientations, minlength=9)
    return {str(k): int(counts[k]) for k in range(2, 9) if counts[k]}
