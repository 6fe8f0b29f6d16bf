"""What a loader returns: one source to learn from, and one to report on."""

import dataclasses
import typing

import numpy as np


def _no_indices():
    return np.zeros(0, np.int64)


@dataclasses.dataclass(frozen=True)
class Parts:
    """The sources of a data set.

    Attributes:
        train: All images but the test images: labelled, without labels, and those
            that the data set keeps for validation.
        test: Images to report on, or None.
        validation: Indices in `train` of the images kept for validation.
        bad: Indices in `train` that cannot be used.
        bad_test: Indices in `test` that cannot be used.
        ignored: Names of files that are not images.
        hand_labeled: Indices in `train` of the images that a person has labelled.
        own_labels: The labels of `train` without those, or None: they are the same.
    """

    train: typing.Any
    test: typing.Any = None
    validation: np.ndarray = dataclasses.field(default_factory=_no_indices)
    bad: np.ndarray = dataclasses.field(default_factory=_no_indices)
    bad_test: np.ndarray = dataclasses.field(default_factory=_no_indices)
    ignored: tuple = ()
    hand_labeled: np.ndarray = dataclasses.field(default_factory=_no_indices)
    own_labels: np.ndarray | None = None
