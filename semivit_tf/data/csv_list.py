"""Images listed in a table.

Columns: `path`, relative to the table; `label`, empty where unknown; and optionally
`split` (train, val, test or unlabeled; train by default) and `group`.
"""

import csv
import pathlib

import numpy as np

from semivit_tf.data.file_source import FileSource, numbered_groups
from semivit_tf.data.parts import Parts
from semivit_tf.one_line import one_line

_SPLITS = {"": "train", "valid": "val", "validation": "val", "unlabelled": "unlabeled"}
_KNOWN = ("train", "val", "test", "unlabeled")


def _read_rows(file):
    try:
        with file.open(encoding="utf-8-sig", newline="") as opened:
            reader = csv.DictReader(opened)
            rows = list(reader)
    except (csv.Error, UnicodeDecodeError) as error:
        raise ValueError(f"{file} cannot be read as a table: {error}") from error
    missing = {"path", "label"} - set(reader.fieldnames or ())
    if missing:
        raise ValueError(
            f"{file} should have the columns path and label. "
            f"Missing: {', '.join(sorted(missing))}"
        )
    for number, row in enumerate(rows, start=2):
        split = (row.get("split") or "").strip().lower()
        row["split"] = _SPLITS.get(split, split)
        if row["split"] in ("val", "test") and not row["label"]:
            raise ValueError(
                f"{file} line {number} is for {row['split']} and should have a label"
            )
        if not row["path"] or row["split"] not in _KNOWN:
            raise ValueError(
                f"{file} line {number} should have a path and a split of "
                f"{', '.join(_KNOWN)}. Received: path={row['path']!r} split={split!r}"
            )
    return rows


def _check_groups(file, rows):
    sides = {True: set(), False: set()}
    for row in rows:
        sides[row["split"] == "test"].add(row.get("group") or "")
    torn = sorted((sides[True] & sides[False]) - {""})
    if torn:
        raise ValueError(
            f"{file} should have each group either in the test split or out of it. "
            f"Received on both sides: {', '.join(map(one_line, torn[:5]))}"
        )


def load_csv(data_dir, class_names=None):
    """Returns the `Parts` that a table lists.

    Args:
        data_dir: Path of the table, or of a folder with `labels.csv` in it.
        class_names: Optional sequence of strings: the classes in another order than
            sorted, or more of them than the table has.
    """
    file = pathlib.Path(data_dir or "")
    if file.is_dir():
        file = file / "labels.csv"
    if data_dir is None or not file.is_file():
        raise ValueError(
            "`data_dir` should be a table of images, or a folder with labels.csv. "
            f"Received: {data_dir!r}"
        )
    rows = _read_rows(file)
    found = {row["label"] for row in rows if row["label"]}
    if class_names is None:
        class_names = sorted(found)
    if found - set(class_names):
        unknown = ", ".join(map(one_line, sorted(found - set(class_names))))
        raise ValueError(f"{file} has labels that are no class names: {unknown}")
    number = {name: place for place, name in enumerate(class_names)}
    _check_groups(file, rows)

    def source(rows):
        if not rows:
            return None
        labels = [
            -1 if row["split"] == "unlabeled" else number.get(row["label"], -1)
            for row in rows
        ]
        groups = None
        if "group" in rows[0]:
            groups = numbered_groups([row["group"] or "" for row in rows])
        paths = [row["path"] for row in rows]
        return FileSource(file.parent, paths, labels, class_names, groups)

    train = [row for row in rows if row["split"] != "test"]
    if not any(row["label"] for row in train):
        raise ValueError(f"{file} should have labelled images to learn from")
    given = [place for place, row in enumerate(train) if row["split"] == "val"]
    test = source([row for row in rows if row["split"] == "test"])
    return Parts(source(train), test, np.array(given, np.int64))
