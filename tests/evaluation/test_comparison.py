"""Two models on the same images: the test, the interval, and what is said of them."""

import numpy as np
import pytest
from scipy.stats import binom

from semivit_tf.evaluation.comparison import (
    HELPED,
    HURT,
    UNCLEAR,
    change_interval,
    compare_predictions,
    verdict,
)


def compared(repaired, broken, images):
    """Compares predictions of which so many are repaired and broken."""
    labels = np.zeros(images, int)
    before, after = labels.copy(), labels.copy()
    before[:repaired] = 1
    after[repaired : repaired + broken] = 1
    return compare_predictions(labels, before, after)


def test_comparison_counts_and_tests_exactly():
    found = compared(9, 1, 20)
    assert (found["repaired"], found["broken"]) == (9, 1)
    np.testing.assert_allclose(found["accuracy_change"], 8 / 20)
    np.testing.assert_allclose(found["p_value"], 2 * binom.cdf(1, 10, 0.5))


def test_the_interval_is_that_of_images_drawn_one_by_one():
    """The oracle draws images with replacement, and both predictions with each."""
    generator = np.random.default_rng(1)
    images, repaired, broken = 150, 31, 12
    change = np.repeat([1, -1, 0], [repaired, broken, images - repaired - broken])
    draws = generator.integers(0, images, (20_000, images))
    low, high = np.quantile(change[draws].mean(axis=1), [0.025, 0.975])
    found = change_interval(repaired, broken, images)
    # An image is 0.0067; ends of an interval that fall between two are the next.
    np.testing.assert_allclose(found, [low, high], atol=1.01 / images)


def test_the_interval_in_closed_form():
    assert change_interval(0, 0, 50) == [0.0, 0.0]
    assert change_interval(50, 0, 50) == [1.0, 1.0]
    assert change_interval(0, 50, 50) == [-1.0, -1.0]
    # Only repaired ones: binomial.
    low, high = (binom.ppf(q, 400, 0.25) / 400 for q in (0.025, 0.975))
    np.testing.assert_allclose(change_interval(100, 0, 400), [low, high], atol=0.003)
    # Of many images: normal, with the deviation of changes of +1, -1 and 0.
    share, lost, images = 0.08, 0.05, 100_000
    deviation = np.sqrt((share + lost - (share - lost) ** 2) / images)
    expected = share - lost + 1.95996 * deviation * np.array([-1, 1])
    found = change_interval(8_000, 5_000, images, draws=40_000)
    np.testing.assert_allclose(found, expected, atol=deviation * 0.05)


def test_the_interval_depends_on_the_seed_alone():
    first, again, other = (
        change_interval(3_000, 1_000, 20_000, draws=100, seed=seed)
        for seed in (0, 0, 1)
    )
    assert first == again != other


@pytest.mark.parametrize(
    ("repaired", "broken", "answer", "start"),
    [
        (40, 5, HELPED, "Unlabelled images helped by "),
        (5, 40, HURT, "Unlabelled images hurt by "),
        (12, 9, UNCLEAR, "Unlabelled images made no clear difference, -"),
        (0, 0, UNCLEAR, "Unlabelled images made no clear difference, +0.0 to +0.0"),
    ],
)
def test_there_are_three_answers(repaired, broken, answer, start):
    found = compared(repaired, broken, 300)
    assert found["answer"] == answer
    assert verdict(found, 300).startswith(start)


def test_the_sentence_has_the_numbers():
    found = {**compared(40, 5, 100), "interval": [0.231, 0.467]}
    assert verdict(found, 100, "validation", "Further training") == (
        "Further training helped by 23.1 to 46.7 points (+35.0 points on 100 "
        f"validation images: 40 repaired, 5 broken, p = {found['p_value']:.2g})."
    )
    mirrored = {**compared(5, 40, 100), "interval": [-0.467, -0.231]}
    assert "hurt by 23.1 to 46.7 points (-35.0" in verdict(mirrored, 100)


def test_few_images_that_all_changed_alike_are_not_clear():
    """The bootstrap alone would be sure: it never draws a broken one."""
    found = compared(5, 0, 10)
    assert found["interval"][0] > 0
    assert found["p_value"] == 2 * 0.5**5
    assert found["answer"] == UNCLEAR
