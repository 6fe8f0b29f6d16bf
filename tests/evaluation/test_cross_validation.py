"""Features are tested on folds, each image once and by others."""

import numpy as np
import pytest

from semivit_tf.evaluation.cross_validation import counted, cross_validate


def test_images_are_classified_by_those_of_other_folds():
    """Two tight classes of ten: one image has the other's features."""
    labels = np.arange(20) % 2
    features = np.eye(2)[labels] + 0.01 * np.random.default_rng(0).normal(size=(20, 2))
    features[4] = [0.0, 1.0]
    found = cross_validate(features, labels, np.arange(20) // 4, 2)
    assert (found["folds"], found["images"]) == (5, 20)
    for way in ("nearest_neighbors", "linear"):
        assert found[way]["accuracy"] == 19 / 20
        low, high = found[way]["accuracy_interval"]
        assert (low, high) == pytest.approx((0.764, 0.991), abs=1e-3)


def test_an_image_does_not_see_its_own_fold():
    """A class that is in one fold only is never answered."""
    labels = np.array([0, 0, 1, 1, 2, 2])
    found = cross_validate(np.eye(3)[labels], labels, np.array([0, 1, 0, 1, 0, 0]), 3)
    assert (
        found["linear"]["accuracy"] == found["nearest_neighbors"]["accuracy"] == 4 / 6
    )


def test_what_is_right_is_counted():
    assert counted([True, False, True, True])["accuracy"] == 0.75
