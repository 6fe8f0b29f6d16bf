"""Pseudo labels and their quality, by hand."""

import numpy as np
import tensorflow as tf

from semivit_tf.losses.pseudo_labels import (
    confident,
    hard_pseudo_labels,
    pseudo_label_quality,
)


def test_labels_and_confidences_by_hand():
    logits = np.log(np.array([[0.7, 0.2, 0.1], [0.1, 0.3, 0.6]], "float32"))
    labels, confidence = hard_pseudo_labels(logits)
    np.testing.assert_array_equal(labels, [0, 2])
    np.testing.assert_allclose(confidence, [0.7, 0.6], rtol=1e-6)


def test_no_gradient_reaches_the_teacher():
    logits = tf.Variable([[1.0, 2.0]])
    with tf.GradientTape() as tape:
        confidence = tf.reduce_sum(hard_pseudo_labels(logits)[1])
    assert tape.gradient(confidence, logits) is None


def test_the_threshold_itself_is_confident():
    confidence = np.array([0.69, 0.7, 0.71], "float32")
    np.testing.assert_array_equal(confident(confidence, 0.7), [0, 1, 1])
    np.testing.assert_array_equal(confident(confidence, 0.0), [1, 1, 1])
    np.testing.assert_array_equal(confident(confidence, 1.01), [0, 0, 0])


def test_quality_counts_only_known_labels():
    quality = pseudo_label_quality(
        tf.constant([0, 1, 2, 2, 1]),
        tf.constant([0, 1, 1, -1, 1]),
        tf.constant([1.0, 0.0, 1.0, 1.0, 1.0]),
    )
    quality = {name: tuple(map(float, pair)) for name, pair in quality.items()}
    assert quality == {
        "accuracy": (3.0, 4.0),  # 3 right of 4 with a known label
        "precision": (2.0, 3.0),  # of the kept ones with a known label
        "recall": (2.0, 3.0),  # of the 3 right ones, 2 are kept
    }
