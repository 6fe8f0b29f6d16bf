"""Shares counted on few images carry their interval."""

import numpy as np
import pytest

from semivit_tf.evaluation.interval import in_percent, share_interval
from semivit_tf.evaluation.metrics import evaluate_probabilities
from semivit_tf.evaluation.tables import results_table


@pytest.mark.parametrize("right", [0, 4, 7])
def test_the_interval_is_wilsons(right):
    """The shares p for which |4/7 - p| is 1.96 standard errors of p."""
    z, images = 1.959964, 7
    low, high = share_interval(right / images, images)
    for limit in {low, high} - {0.0, 1.0}:
        error = np.sqrt(limit * (1 - limit) / images)
        assert abs(right / images - limit) == pytest.approx(z * error, rel=1e-5)
    assert (low == 0.0) == (right == 0) and (high == 1.0) == (right == 7)


def test_four_of_seven_by_hand():
    """Centre (4/7 + z^2/14) / (1 + z^2/7), and half of the width."""
    assert share_interval(4 / 7, 7) == pytest.approx((0.2505, 0.8418), abs=1e-4)
    assert in_percent(4 / 7, 7) == "57.14 % (25 to 84)"
    assert in_percent(16 / 28, 28).startswith("57.14 % (39 to 73)")


def test_many_images_need_no_interval():
    assert in_percent(0.5, 30) == "50.00 %"


def test_an_evaluation_on_few_images_shows_its_interval():
    probabilities = np.full((7, 10), 0.05)
    probabilities[:4, 0] = 0.5
    probabilities[4:, 1] = 0.5
    found = evaluate_probabilities(np.zeros(7, int), probabilities, list("abcdefghij"))
    assert found["accuracy_interval"] == pytest.approx([0.2505, 0.8418], abs=1e-4)
    row = {"stage": "finetune", "weights": "student", "labels_used": 7, **found}
    assert "57.14 % (25 to 84)" in results_table([row])
    assert "(" not in results_table([{**row, "images": 30}])
