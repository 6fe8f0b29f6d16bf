"""Factors are uniform, orders equally frequent."""

import itertools

import numpy as np
import pytest
from scipy import stats

from semivit_tf.augment import color_jitter
from semivit_tf.augment.color_jitter import ColorJitter
from tests.augment.pictures import noise


@pytest.fixture
def record(monkeypatch):
    calls = []

    def change(name):
        def called(image, factor):
            calls.append((name, factor))
            return image

        return called

    monkeypatch.setattr(color_jitter, "_CHANGES", tuple(map(change, "bcsh")))
    return calls


def test_factors_are_uniform_and_orders_equally_frequent(record):
    for key in range(6000):
        ColorJitter(0.4)(noise(), key)
    factors = np.array([factor for _, factor in record])
    assert stats.kstest(factors, stats.uniform(0.6, 0.8).cdf).pvalue > 1e-3
    orders = ["".join(n for n, _ in record[i : i + 3]) for i in range(0, 18000, 3)]
    counts = [orders.count("".join(o)) for o in itertools.permutations("bcs")]
    assert sum(counts) == 6000
    assert stats.chisquare(counts).pvalue > 1e-3


def test_hue_and_saturation_have_ranges_and_places_of_their_own(record):
    for key in range(9600):
        ColorJitter(0.4, saturation=0.2, hue=0.1)(noise(), key)
    for name, spread in (
        *[(name, stats.uniform(0.6, 0.8)) for name in "bc"],
        ("s", stats.uniform(0.8, 0.4)),
        ("h", stats.uniform(-0.1, 0.2)),
    ):
        found = [amount for one, amount in record if one == name]
        assert len(found) == 9600
        assert stats.kstest(found, spread.cdf).pvalue > 1e-3
    orders = ["".join(n for n, _ in record[i : i + 4]) for i in range(0, 38400, 4)]
    counts = [orders.count("".join(o)) for o in itertools.permutations("bcsh")]
    assert sum(counts) == 9600
    assert stats.chisquare(counts).pvalue > 1e-3


def test_without_hue_the_draws_are_those_of_before(record):
    """Orders and factors do not change with what else can be drawn."""
    for key in range(50):
        ColorJitter(0.4)(noise(), key)
        ColorJitter(0.4, hue=1e-9)(noise(), key)
    with_hue = [call for i in range(0, 350, 7) for call in record[i + 3 : i + 7]]
    without = [call for i in range(0, 350, 7) for call in record[i : i + 3]]
    assert [call for call in with_hue if call[0] != "h"] == without


def test_no_factor_is_negative(record):
    for key in range(200):
        ColorJitter(1.5)(noise(), key)
    factors = [factor for _, factor in record]
    assert 0 <= min(factors) < 0.1 and 2.3 < max(factors) <= 2.5


def test_no_strength_is_no_change():
    np.testing.assert_array_equal(ColorJitter(0.0)(noise(), 3), noise())
