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

    monkeypatch.setattr(color_jitter, "_CHANGES", tuple(map(change, "bcs")))
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


def test_no_factor_is_negative(record):
    for key in range(200):
        ColorJitter(1.5)(noise(), key)
    factors = [factor for _, factor in record]
    assert 0 <= min(factors) < 0.1 and 2.3 < max(factors) <= 2.5


def test_no_strength_is_no_change():
    np.testing.assert_array_equal(ColorJitter(0.0)(noise(), 3), noise())
