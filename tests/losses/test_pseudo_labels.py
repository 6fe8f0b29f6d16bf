"""Pseudo labels and their quality, by hand."""

import numpy as np
import tensorflow as tf

from semivit_tf.losses.pseudo_labels import confident, pseudo_label_quality


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
