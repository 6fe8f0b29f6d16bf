"""The threshold of abstention keeps its promise in 95 of 100 draws."""

import math

import numpy as np
import pytest
from scipy.stats import binomtest

from semivit_tf.evaluation.abstention import (
    choose_threshold,
    images_needed,
    lower_limit,
    measure_abstention,
    shows_precision,
)


def drawn(images, seed):
    """Returns labels and probabilities of two classes: as often right as they say."""
    generator = np.random.default_rng(seed)
    confidence = 1 - generator.uniform(size=images) ** 2 / 2
    wrong = generator.uniform(size=images) > confidence
    return wrong.astype(int), np.stack([confidence, 1 - confidence], axis=1)


def test_images_that_show_a_precision():
    """Without a mistake n images do if precision ** n <= 0.05."""
    for precision in (0.9, 0.98, 0.999):
        expected = math.ceil(math.log(0.05) / math.log(precision))
        assert images_needed(precision) == pytest.approx(expected, rel=1e-3)
    assert images_needed(0.98) == 149
    assert shows_precision(1, 236, 0.98) and not shows_precision(1, 235, 0.98)
    limits = binomtest(233, 236, alternative="greater").proportion_ci(0.95, "exact")
    assert lower_limit(3, 236) == pytest.approx(limits.low)
    assert lower_limit(0, 0) == lower_limit(4, 4) == 0.0


def test_the_promise_is_kept_in_95_of_100_draws():
    """The precision of the surest share s is 1 - s ** 2 / 6, so 0.95 needs 0.85."""
    found = [choose_threshold(*drawn(1000, seed), 0.95) for seed in range(200)]
    chosen = np.array([threshold for threshold in found if threshold is not None])
    assert len(chosen) > 160
    assert np.sum(chosen < 0.85) / len(found) < 0.09
    assert np.median(chosen) < 0.95  # the surest third of the images, where 55 % may be


def test_a_threshold_by_hand():
    """Of 100 images with one wrong answer, the 71st: 0.9 needs 46 for that one."""
    confidence = np.linspace(0.999, 0.9, 100)
    probabilities = np.stack([confidence, 1 - confidence], axis=1)
    labels = np.zeros(100, int)
    labels[[70, 72, 74, 76]] = 1
    assert images_needed(0.9, 1) == 46 and images_needed(0.9, 4) == 89
    found = choose_threshold(labels, probabilities, 0.9)
    assert found == pytest.approx(confidence[69])  # 4 of 80 are too many
    measured = measure_abstention(labels, probabilities, found)
    assert (measured["answered"], measured["precision"]) == (70, 1.0)
    assert measured["precision_at_least"] == pytest.approx(0.05 ** (1 / 70))


def test_too_few_images_show_nothing():
    labels, probabilities = np.zeros(148, int), np.tile([0.9, 0.1], (148, 1))
    assert choose_threshold(labels, probabilities, 0.98) is None
    more = np.zeros(149, int), np.tile([0.9, 0.1], (149, 1))
    assert choose_threshold(*more, 0.98) == 0.9
    assert choose_threshold(labels[:0], probabilities[:0], 0.5) is None
    nothing = measure_abstention(labels, probabilities, None)
    assert nothing["answered"] == 0 and nothing["precision"] is None
