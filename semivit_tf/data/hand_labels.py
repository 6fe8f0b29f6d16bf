"""Labels that a person has filled in, in tables, and what they change of a data set.

Columns: `path`, as the data set names the image, and `label`, empty where nothing was
filled in. All other columns are for the person.
"""

import collections
import copy
import csv
import dataclasses
import pathlib

import numpy as np

from semivit_tf.one_line import one_line

_NAMED = 10  # classes or images in a message


@dataclasses.dataclass(frozen=True)
class _Answer:
    """A label, and where it was read."""

    label: str
    place: str


def with_hand_labels(parts, tables):
    """Returns `Parts` in which training images have the labels of tables as well.

    Which images are drawn for validation or as labelled ones does not change by it, see
    `joined_by_hand`.

    Args:
        parts: `Parts`.
        tables: Sequence of paths. No image may be named twice in them.
    """
    train, answers, labeled = parts.train, {}, []
    for table in tables:
        for path, answer in _read(table, train.class_names):
            if path in answers:
                before = answers[path]
                raise ValueError(
                    f"{answer.place} labels {path!r} a second time: as "
                    f"{answer.label!r}, after {before.label!r} in {before.place}"
                )
            answers[path] = answer
    if not answers:
        named = ", ".join(map(str, tables))
        raise ValueError(f"`labels` should hold labels. Received: none in {named}")
    number = {name: place for place, name in enumerate(train.class_names)}
    labels = train.labels.copy()
    for path, index in _indices(train.names(), answers).items():
        answer, before = answers[path], train.labels[index]
        labels[index] = number[answer.label]
        if before not in (-1, labels[index]):
            raise ValueError(
                f"{answer.place} labels {path!r} as {answer.label!r}, but it is "
                f"{train.class_names[before]!r} in the data set"
            )
        labeled.append(index)
    relabeled = copy.copy(train)
    relabeled.labels = labels
    return dataclasses.replace(
        parts,
        train=relabeled,
        own_labels=train.labels,
        hand_labeled=np.sort(np.array(labeled, np.int64)),
    )


def joined_by_hand(split, parts):
    """Returns a split in which the images labelled by hand are labelled ones.

    Args:
        split: `LabelSplit` of the labels that the data set itself has.
        parts: `Parts`.
    """
    indices = np.setdiff1d(parts.hand_labeled, parts.bad)
    apart = np.setdiff1d(indices, np.union1d(split.labeled, split.unlabeled))
    if len(apart):
        named = ", ".join(repr(parts.train.name(index)) for index in apart[:_NAMED])
        raise ValueError(
            "`labels` should be of images that are learned from, not of those for "
            f"validation or left out of the split. Received: {named}"
        )
    return dataclasses.replace(
        split,
        labeled=np.union1d(split.labeled, indices),
        unlabeled=np.setdiff1d(split.unlabeled, indices),
        hand_labels=tuple(
            zip(indices.tolist(), parts.train.labels[indices].tolist(), strict=True)
        ),
    )


def _read(table, class_names):
    """Yields the path and the `_Answer` of each row of a table that has a label."""
    table = pathlib.Path(table)
    if not table.is_file():
        raise ValueError(
            f"`labels` should be tables with the columns path and label. Received: "
            f"{str(table)!r}, which is no file"
        )
    try:
        with table.open(encoding="utf-8-sig", newline="") as file:
            reader = csv.DictReader(file)
            missing = {"path", "label"} - set(reader.fieldnames or ())
            if missing:
                raise ValueError(
                    f"{table} should have the columns path and label. "
                    f"Missing: {', '.join(sorted(missing))}"
                )
            for row in reader:
                label, place = row["label"] or "", f"{table} line {reader.line_num}"
                label = label if label in class_names else label.strip()
                if label:
                    _check(row["path"], label, class_names, place)
                    yield row["path"], _Answer(label, place)
    except (csv.Error, UnicodeDecodeError) as error:
        raise ValueError(f"{table} cannot be read as a table: {error}") from error


def _check(path, label, class_names, place):
    if not path:
        raise ValueError(f"{place} lacks its path")
    if label not in class_names:
        known = ", ".join(map(one_line, class_names[:_NAMED]))
        more = len(class_names) - _NAMED
        raise ValueError(
            f"{place} should have a label of: {known}"
            f"{f' and {more} more' if more > 0 else ''}. Received: {label!r}"
        )


def _indices(names, answers):
    """Returns a dict of each path to the index of the image that has the name."""
    found = collections.defaultdict(list)
    for index, name in enumerate(names):
        if name in answers:
            found[name].append(index)
    for path, answer in answers.items():
        if len(found[path]) != 1:
            raise ValueError(
                f"{answer.place} should name one training image. Received: {path!r}, "
                f"the name of {len(found[path]) or 'none'}"
            )
    return {path: index for path, (index,) in found.items()}
