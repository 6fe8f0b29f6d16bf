"""Temperatures make probabilities right; how right they are is counted."""

import numpy as np
import pytest
from scipy.optimize import minimize
from scipy.special import softmax
from sklearn.metrics import brier_score_loss

from semivit_tf.evaluation.calibration import (
    brier_score,
    calibrated_probabilities,
    cross_entropy,
    fit_temperatures,
    likeliest_temperature,
    reliability,
)


def drawn(images, classes=5, scale=2.0, seed=0):
    """Returns labels that are drawn by the softmax of the logits, and these."""
    generator = np.random.default_rng(seed)
    logits = generator.normal(0, scale, (images, classes))
    labels = (logits + generator.gumbel(size=logits.shape)).argmax(axis=1)
    return labels, logits


def test_reliability_by_hand():
    """Confidences 0.5 (right), 0.6 (wrong), 0.9 (right), of two bins up to 0.55, 1."""
    probabilities = np.array([[0.5, 0.3, 0.2], [0.2, 0.6, 0.2], [0.05, 0.05, 0.9]])
    labels = [0, 2, 2]
    found = reliability(labels, probabilities, bins=2)
    assert found["bins"] == [
        {"confidence": 0.5, "accuracy": 1.0, "images": 1},
        {"confidence": pytest.approx(0.75), "accuracy": 0.5, "images": 2},
    ]
    # 1/3 * 0.5 + 2/3 * 0.25
    assert found["ece"] == pytest.approx(1 / 3)
    expected = (0.38 + (0.04 + 0.36 + 0.64) + (0.0025 + 0.0025 + 0.01)) / 3
    assert found["brier"] == pytest.approx(expected)


def test_fifteen_bins_with_their_upper_ends():
    confidences = np.array([10 / 15, 10 / 15 + 1e-9, 1.0])
    probabilities = np.stack([confidences, 1 - confidences], axis=1)
    found = reliability([0, 0, 0], probabilities)["bins"]
    assert [row["images"] for row in found] == [1, 1, 1]


def test_the_brier_score_is_that_of_scikit_learn():
    labels, logits = drawn(200)
    probabilities = softmax(logits, axis=1)
    expected = brier_score_loss(
        labels, probabilities, labels=np.arange(5), scale_by_half=False
    )
    assert brier_score(labels, probabilities) == pytest.approx(expected, rel=1e-12)


def test_the_temperature_has_the_least_cross_entropy():
    """Against another minimiser, of the likelihood written out."""
    labels, logits = drawn(500)
    logits = 3 * logits

    def loss(parameters):
        rows = np.exp(logits / np.exp(parameters[0]))
        return -np.log(rows[np.arange(500), labels] / rows.sum(axis=1)).mean()

    found = minimize(loss, [0.0], method="Nelder-Mead", options={"xatol": 1e-9})
    expected = float(np.exp(found.x[0]))
    assert likeliest_temperature(labels, logits) == pytest.approx(expected, rel=1e-5)
    assert expected == pytest.approx(3, rel=0.15)
    assert cross_entropy(labels, logits, expected) == pytest.approx(loss(found.x))
    np.testing.assert_allclose(fit_temperatures(labels, logits), expected, rtol=1e-5)


def test_calibration_takes_most_of_the_error_and_no_answer_away():
    labels, logits = drawn(4000)
    held, fresh = slice(0, 2000), slice(2000, None)
    temperatures = fit_temperatures(labels[held], 3 * logits[held])
    before = softmax(3 * logits[fresh], axis=1)
    after = calibrated_probabilities(3 * logits[fresh], temperatures)
    one, other = (reliability(labels[fresh], found) for found in (before, after))
    assert one["ece"] > 0.15 and other["ece"] < one["ece"] / 4
    assert other["brier"] < one["brier"]
    np.testing.assert_array_equal(after.argmax(axis=1), before.argmax(axis=1))
    np.testing.assert_allclose(after.sum(axis=1), 1)


def test_a_class_that_needs_it_has_its_own_temperature():
    """Answers of class 0 are four times too sure, the others twice."""
    labels, logits = drawn(3000)
    needed = np.where(logits.argmax(axis=1) == 0, 4.0, 2.0)
    found = fit_temperatures(labels, logits * needed[:, None])
    assert found[0] == pytest.approx(4, rel=0.15)
    np.testing.assert_allclose(found[1:], 2, rtol=0.25)


@pytest.mark.parametrize(("images", "scale"), [(60, 2.0), (150, 4.0), (300, 8.0)])
def test_wrong_answers_tell_the_temperature(images, scale):
    """Its logarithm is off by about 0.7 / sqrt(m) where m answers are wrong."""
    found, wrong = [], []
    for seed in range(100):
        labels, logits = drawn(images, 10, scale, seed)
        found.append(np.log(likeliest_temperature(labels, 2 * logits)))
        wrong.append(np.sum(labels != logits.argmax(axis=1)))
    assert np.mean(found) == pytest.approx(np.log(2), abs=0.06)
    assert 0.55 < np.std(found) * np.sqrt(np.mean(wrong)) < 0.85


def test_few_images_of_a_class_are_not_enough():
    """The same on 60 images: the common temperature serves all."""
    labels, logits = drawn(60)
    needed = np.where(logits.argmax(axis=1) == 0, 3.0, 2.0)
    found = fit_temperatures(labels, logits * needed[:, None])
    assert len(set(found)) == 1 and found[0] > 1.2


def test_temperatures_that_are_not_needed_are_rare():
    """In about 5 % of draws, of calibrated logits and of ones that are too sure."""
    calibrated, twice = [], []
    for seed in range(60):
        labels, logits = drawn(300, seed=seed)
        calibrated.append((fit_temperatures(labels, logits) != 1).any())
        twice.append(len(set(fit_temperatures(labels, 2 * logits))) > 1)
    assert np.mean(calibrated) < 0.2  # once in all, and once for the classes
    assert np.mean(twice) < 0.13


@pytest.mark.parametrize("images", [0, 1, 50])
def test_nothing_is_fitted_where_no_answer_is_wrong(images):
    logits = 3 * np.eye(5)[np.arange(images) % 5].reshape(images, 5)
    found = fit_temperatures(logits.argmax(axis=1), logits)
    np.testing.assert_array_equal(found, 1)
    expected = softmax(logits, axis=1)
    np.testing.assert_allclose(calibrated_probabilities(logits, found), expected)
