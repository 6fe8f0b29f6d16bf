"""Coarse classes: how often at least the kind of an image is right."""

import csv

import numpy as np


def read_coarse_classes(path, class_names):
    """Returns a dict of class to coarse class.

    Args:
        path: Path of a CSV file with the columns `class` and `coarse`.
        class_names: Sequence of strings, all of which should be in it.
    """
    with open(path, encoding="utf-8-sig", newline="") as file:
        reader = csv.DictReader(file)
        if not {"class", "coarse"} <= set(reader.fieldnames or ()):
            raise ValueError(
                f"{path} should have the columns class and coarse. "
                f"Received: {', '.join(reader.fieldnames or ()) or 'none'}"
            )
        found = {row["class"]: row["coarse"] for row in reader}
    missing = [name for name in class_names if not found.get(name)]
    if missing:
        raise ValueError(
            f"{path} should have a coarse class for each of {len(class_names)} "
            f"classes. Missing: {', '.join(missing[:5])}"
        )
    return {name: found[name] for name in class_names}


def coarse_accuracy(confusion, coarse):
    """Returns the share of images whose predicted class is of the right coarse class.

    Args:
        confusion: Integer array `[K, K]`: images by their class and the predicted one.
        coarse: Sequence of K coarse classes.
    """
    coarse, confusion = np.asarray(coarse), np.asarray(confusion)
    right = coarse[:, None] == coarse
    return float(confusion[right].sum() / confusion.sum())
