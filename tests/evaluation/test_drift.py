"""Drift: the energy distance by hand and by SciPy, false alarms, and clear shifts."""

import numpy as np
import pytest
from scipy.stats import energy_distance, ks_2samp

from semivit_tf.evaluation.drift import compare_samples, energy_test, strangest


def sample(count, seed, shift=0.0):
    """Returns features `[N, 6]` of three clusters, and confidences `[N]`."""
    generator = np.random.default_rng(seed)
    centres = 3 * np.eye(6)[generator.integers(0, 3, count)]
    features = centres + generator.normal(size=(count, 6)) + shift
    return features, generator.beta(5, 1 + abs(shift), count)


def test_the_distance_by_hand():
    # Between: the mean of 1, 3, 1, 1 is 1.5; within: 2 / 2 = 1 of four pairs, twice.
    first, second = np.array([[0.0], [2.0]]), np.array([[1.0], [3.0]])
    found, _ = energy_test(first, second)
    assert found == pytest.approx(2 * 1.5 - 1 - 1)


def test_the_distance_is_that_of_scipy():
    generator = np.random.default_rng(0)
    first, second = generator.normal(size=40), generator.normal(0.5, 2, size=25)
    found, _ = energy_test(first[:, None], second[:, None], draws=9)
    assert found == pytest.approx(energy_distance(first, second) ** 2)


def test_p_values_count_all_ways_to_divide():
    """Of the 6 ways to draw two of four, two are as far apart as this one."""
    far = np.array([[0.0], [1.0]]), np.array([[10.0], [11.0]])
    assert energy_test(*far, draws=5_000)[1] == pytest.approx(2 / 6, abs=0.02)
    assert energy_test(*far, draws=99, seed=3) == energy_test(*far, draws=99, seed=3)
    alike = np.ones((5, 2)), np.ones((7, 2))
    assert energy_test(*alike) == (pytest.approx(0, abs=1e-12), 1)


def test_false_alarms_are_rare_in_200_draws():
    reference, alarms = sample(60, 1000), 0
    for seed in range(200):
        found = compare_samples(reference, sample(40, seed), draws=99, seed=seed)
        alarms += found["p_value"] < 0.05
    assert alarms <= 10  # 5 %


@pytest.mark.parametrize("shift", [{"shift": 1.5}, {"shift": -1.5}])
def test_clear_shifts_are_found_in_all_draws(shift):
    for seed in range(10):
        found = compare_samples(sample(60, 1000 + seed), sample(40, seed, **shift))
        assert found["features"]["p_value"] <= 0.002
        assert found["p_value"] <= 0.004


def test_confidences_alone_tell_of_a_shift():
    features, sure = sample(60, 0)
    others, _ = sample(60, 1)
    found = compare_samples((features, sure), (others, sure / 2), draws=99)
    tested = ks_2samp(sure, sure / 2)
    assert found["confidences"]["p_value"] == pytest.approx(tested.pvalue)
    assert found["confidences"]["mean"] == pytest.approx(np.mean(sure) / 2)
    assert found["p_value"] == pytest.approx(2 * tested.pvalue) and tested.pvalue < 1e-9


def test_the_strangest_are_the_farthest():
    reference, _ = sample(50, 2)
    new = np.concatenate([reference[:9] + 0.01, np.full((1, 6), -20.0)])
    places, distances = strangest(reference, new, 3)
    assert places[0] == 9 and distances[0] > 10 * distances[1]
    assert list(distances) == sorted(distances, reverse=True)
