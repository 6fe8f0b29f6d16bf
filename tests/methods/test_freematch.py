"""FreeMatch against NumPy, step by step, and against values worked out by hand."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from semivit_tf.losses.fairness import self_adaptive_fairness
from semivit_tf.methods.freematch import FreeMatch
from semivit_tf.methods.selections.fixed_threshold import FixedThreshold
from semivit_tf.methods.selections.self_adaptive_threshold import SelfAdaptiveThreshold
from semivit_tf.methods.semi_vit import SemiViT
from tests.methods import softmax_regression
from tests.methods.small import loss_and_terms, semi_batch, sharpen, small_vit

STEPS = 20


def test_twenty_steps_equal_numpy():
    model = FreeMatch(
        softmax_regression.backbone(), 4, threshold_momentum=0.9, fairness_weight=0.05
    )
    sharpen(model.student, 8.0)
    model.compile(keras.optimizers.SGD(0.1))
    head = model.student.head
    oracle = softmax_regression.SoftmaxRegression(
        head.kernel.numpy(), head.bias.numpy(), rate=0.1
    )
    selection = softmax_regression.SelfAdaptive(0.9)
    kept = []
    for number in range(STEPS):
        batch = semi_batch(8, 24, seed=number, classes=4)
        expected = oracle.step(batch, selection, fairness_weight=0.05)
        model.reset_metrics()
        logs = model.train_on_batch(*batch, return_dict=True)
        for name, value in expected.items():
            np.testing.assert_allclose(logs[name], value, rtol=1e-6, atol=1e-6)
        np.testing.assert_allclose(
            model.selection.thresholds(), selection.thresholds(), rtol=1e-6
        )
        np.testing.assert_allclose(
            model.selection.class_share, selection.share, rtol=1e-6
        )
        kept.append(expected["kept"])
    assert len({round(share, 3) for share in kept}) > 3 and 0 < min(kept) < 1
    np.testing.assert_allclose(head.kernel, oracle.kernel, atol=1e-6)
    np.testing.assert_allclose(head.bias, oracle.bias, atol=1e-6)


def test_the_first_threshold_of_ten_classes():
    selection = SelfAdaptiveThreshold()
    selection.build((None, 10))
    confident = np.full((4, 10), 0.05, "float32")
    confident[np.arange(4), [0, 3, 5, 7]] = 0.55
    weight = selection(confident)
    threshold = 0.999 * 0.1 + 0.001 * 0.55
    np.testing.assert_allclose(selection.confidence, threshold, rtol=1e-6)
    mean = 0.999 * 0.1 + 0.001 * confident.mean(axis=0)
    np.testing.assert_allclose(
        selection.thresholds(), threshold * mean / mean.max(), rtol=1e-6
    )
    np.testing.assert_array_equal(weight, 1.0)


def test_equal_classes_have_the_global_threshold():
    selection = SelfAdaptiveThreshold(0.5)
    selection.build((None, 2))
    weight = selection(np.array([[0.9, 0.1], [0.1, 0.9], [0.6, 0.4], [0.4, 0.6]]))
    # 0.5 * 0.5 + 0.5 * 0.75 = 0.625, for both classes
    np.testing.assert_allclose(selection.thresholds(), [0.625, 0.625], rtol=1e-6)
    np.testing.assert_array_equal(weight, [1, 1, 0, 0])


def test_fairness_by_hand():
    """Two of three images are kept: one of each class, of unlike certainty."""
    probabilities = np.array([[0.8, 0.2], [0.4, 0.6], [0.99, 0.01]])
    loss = self_adaptive_fairness(
        tf.constant(np.log(probabilities), tf.float32),
        tf.constant([1.0, 1.0, 0.0]),
        tf.constant([0.5, 0.5]),
        tf.constant([0.25, 0.75]),
    )
    # Expected: (2, 2/3) made (0.75, 0.25). Found: means 0.6, 0.4 over shares of a half.
    expected = 0.75 * np.log(0.6) + 0.25 * np.log(0.4)
    np.testing.assert_allclose(loss, expected, rtol=1e-6)


def test_fairness_of_nothing_is_nothing():
    logits = tf.Variable(np.zeros((2, 3), "float32"))
    with tf.GradientTape() as tape:
        loss = self_adaptive_fairness(
            tf.identity(logits), tf.zeros(2), tf.fill((3,), 1 / 3), tf.fill((3,), 1 / 3)
        )
    assert float(loss) == 0
    np.testing.assert_array_equal(tape.gradient(loss, logits), 0)


def test_what_is_judged_is_counted_before():
    """From weights that are sure of everything, thresholds rise in one batch."""
    model = FreeMatch(small_vit(), 3, threshold_momentum=0.0)
    model.label = lambda images: tf.constant([[0.9, 0.05, 0.05], [0.5, 0.3, 0.2]])
    _, terms = loss_and_terms(model, semi_batch(2, 2))
    assert float(terms["kept"][0]) == 0.5  # 0.9 reaches the mean 0.7, 0.5 does not


def test_semi_vit_mixes_what_freematch_selects():
    selection = SelfAdaptiveThreshold(0.9)
    model = SemiViT(small_vit(), 3, selection=selection)
    sharpen(model.teacher)
    batch = semi_batch(4, 24)
    prepared = model.prepare(batch)
    assert np.abs(prepared["shown"] - batch[0]["strong"]).max() > 1
    assert 1 / 3 < float(selection.confidence) < 1
    again = SemiViT.from_config(model.get_config())
    assert isinstance(again.selection, SelfAdaptiveThreshold)
    assert again.selection.threshold_momentum == 0.9


def test_fairness_needs_the_running_means():
    with pytest.raises(ValueError, match="`fairness_weight` should be 0 without"):
        FreeMatch(small_vit(), 3, selection=FixedThreshold())
    model = FreeMatch(small_vit(), 3, selection=FixedThreshold(), fairness_weight=0)
    _, terms = loss_and_terms(model, semi_batch())
    assert "fairness_loss" not in terms
