"""Sets of classes hold the right one as often as asked for."""

import numpy as np
import pytest
from scipy.special import softmax

from semivit_tf.evaluation.conformal_sets import least_probability, measure_sets


def drawn(images, generator):
    """Returns labels, and probabilities that are far too sure."""
    logits = generator.normal(0, 1.5, (images, 6))
    labels = (logits + generator.gumbel(size=logits.shape)).argmax(axis=1)
    return labels, softmax(3 * logits, axis=1)


@pytest.mark.parametrize(("images", "coverage"), [(39, 0.9), (200, 0.95)])
def test_coverage_over_many_draws(images, coverage):
    """On average from the coverage to it and 1 / (n + 1)."""
    generator = np.random.default_rng(0)
    fresh = drawn(5_000, generator)
    found = []
    for _ in range(200):
        least = least_probability(*drawn(images, generator), coverage)
        found.append(measure_sets(*fresh, least)["coverage"])
    error = 3 * np.std(found) / np.sqrt(len(found)) + 0.008  # and of the fresh images
    assert coverage - error < np.mean(found) < coverage + 1 / (images + 1) + error


def test_a_quantile_by_hand():
    """Nine images, 0.8 of ten: all but the lowest of the right probabilities."""
    right = np.array([0.9, 0.8, 0.7, 0.6, 0.5, 0.4, 0.3, 0.2, 0.1])
    probabilities = np.stack([right, 1 - right], axis=1)
    labels = np.zeros(9, int)
    assert least_probability(labels, probabilities, 0.8) == 0.2
    assert least_probability(labels, probabilities, 0.9) == 0.1
    assert least_probability(labels, probabilities, 0.91) == 0.0  # one more is needed
    measured = measure_sets(labels, probabilities, 0.75)
    assert measured["coverage"] == pytest.approx(2 / 9)
    assert measured["empty"] == 5 and measured["of_one_class"] == 4
    assert measured["mean_size"] == pytest.approx(4 / 9)


def test_all_classes_where_nothing_is_known():
    probabilities = np.array([[0.7, 0.3, 0.0]])
    assert least_probability([0], probabilities, 0.95) == 0.0
    assert measure_sets([2], probabilities, 0.0)["mean_size"] == 3
