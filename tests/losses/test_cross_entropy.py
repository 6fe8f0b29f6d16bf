"""Cross-entropy against NumPy."""

import numpy as np
from scipy.special import log_softmax

from semivit_tf.losses.cross_entropy import (
    smoothed_one_hot,
    soft_target_cross_entropy,
)


def test_smoothing_equals_the_published_label_smoothing_loss():
    generator = np.random.default_rng(0)
    logits = generator.normal(size=(5, 7)).astype("float32")
    labels = generator.integers(0, 7, 5)
    log_p = log_softmax(logits.astype("float64"), axis=1)
    expected = -0.9 * log_p[np.arange(5), labels] - 0.1 * log_p.mean(axis=1)
    loss = soft_target_cross_entropy(smoothed_one_hot(labels, 7, 0.1), logits)
    np.testing.assert_allclose(np.asarray(loss), expected, rtol=1e-5)


def test_smoothed_targets_by_hand():
    targets = np.asarray(smoothed_one_hot(np.array([1]), 4, 0.2))
    np.testing.assert_allclose(targets, [[0.05, 0.85, 0.05, 0.05]], atol=1e-7)


def test_uniform_prediction_costs_the_logarithm_of_the_classes():
    loss = soft_target_cross_entropy(
        smoothed_one_hot(np.array([3]), 8), np.zeros((1, 8), "float16")
    )
    np.testing.assert_allclose(np.asarray(loss), [np.log(8)], rtol=1e-6)
    assert np.asarray(loss).dtype == np.float32


def test_targets_of_a_label_outside_the_classes_are_no_numbers():
    targets = np.asarray(smoothed_one_hot(np.array([0, 3, -1]), 3, 0.1))
    np.testing.assert_array_equal(np.isnan(targets).all(axis=1), [False, True, True])
    np.testing.assert_allclose(targets[0], [0.9 + 0.1 / 3, 0.1 / 3, 0.1 / 3])
