"""FixMatch against NumPy, step by step, and against single numbers."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from semivit_tf.methods.fixmatch import FixMatch
from tests.methods import softmax_regression
from tests.methods.small import loss_and_terms, semi_batch, sharpen, small_vit

STEPS = 20


def test_twenty_steps_equal_numpy():
    model = FixMatch(softmax_regression.backbone(), 4, threshold=0.6)
    sharpen(model.student, 8.0)
    model.compile(keras.optimizers.SGD(0.1))
    head = model.student.head
    oracle = softmax_regression.SoftmaxRegression(
        head.kernel.numpy(), head.bias.numpy(), rate=0.1
    )
    kept = []
    for number in range(STEPS):
        batch = semi_batch(8, 24, seed=number, classes=4)
        expected = oracle.step(batch, softmax_regression.Fixed(0.6))
        model.reset_metrics()
        logs = model.train_on_batch(*batch, return_dict=True)
        for name, value in expected.items():
            np.testing.assert_allclose(logs[name], value, rtol=1e-6, atol=1e-6)
        kept.append(expected["kept"])
    assert len({round(share, 3) for share in kept}) > 3 and 0 < min(kept) < 1
    np.testing.assert_allclose(head.kernel, oracle.kernel, atol=1e-6)
    np.testing.assert_allclose(head.bias, oracle.bias, atol=1e-6)


def test_a_confident_image_counts_and_an_unconfident_one_does_not():
    """The mean is over both."""
    model = FixMatch(small_vit(), 3)
    model.label = lambda images: tf.constant([[0.96, 0.02, 0.02], [0.94, 0.03, 0.03]])
    views, labels = semi_batch(2, 2)
    _, terms = loss_and_terms(model, (views, labels))
    logits = np.asarray(model.student(views["strong"]))
    expected = -tf.nn.log_softmax(logits)[0, 0] / 2
    np.testing.assert_allclose(terms["unlabeled_loss"][0], expected, rtol=1e-6)
    assert float(terms["kept"][0]) == 0.5


def test_the_student_as_it_trains_labels_and_the_teacher_does_not():
    views, _ = semi_batch(unlabeled=64)
    model = FixMatch(small_vit(drop_path=0.5), 3)
    sharpen(model.student)
    first, second = (np.asarray(model.label(views["weak"])) for _ in range(2))
    assert np.abs(first - second).max() > 0.01  # drop path
    plain = FixMatch(small_vit(), 3)
    sharpen(plain.student)
    expected = tf.nn.softmax(plain.student(views["weak"]))
    np.testing.assert_allclose(plain.label(views["weak"]), expected, atol=1e-6)
    assert np.abs(expected - tf.nn.softmax(plain.teacher(views["weak"]))).max() > 0.1


def test_labels_are_learned_as_they_are():
    model = FixMatch(small_vit(), 3)
    views, labels = semi_batch()
    prepared = model.prepare((views, labels))
    np.testing.assert_array_equal(prepared["image"], views["image"])
    np.testing.assert_array_equal(prepared["target"], np.eye(3)[labels])
    assert model.labeled_view == "weak"


def test_what_is_given_replaces_what_a_trained_classifier_has():
    trained = FixMatch(small_vit(), 3, label_smoothing=0.2, mixup_alpha=0.3).student
    assert (trained.label_smoothing, trained.mixup_alpha) == (0.2, 0.3)
    model = FixMatch(trained, mixup_alpha=0.5)
    assert model.student is trained
    assert (trained.label_smoothing, trained.mixup_alpha) == (0.0, 0.5)
    again = FixMatch.from_config(model.get_config())
    assert again.student.mixup_alpha == 0.5


def test_the_teacher_answers_and_follows_slowly():
    model = FixMatch(small_vit(), 3)
    views, _ = semi_batch()
    np.testing.assert_array_equal(model(views), model.teacher(views["image"]))
    assert model.default_teacher().momentum == 0.999
    assert model.selecting_metric == "val_teacher_accuracy"


@pytest.mark.parametrize("labeler", ["nobody", ""])
def test_unknown_labelers_are_refused(labeler):
    with pytest.raises(ValueError, match="`labeler` should be one of: teacher"):
        FixMatch(small_vit(), 3, labeler=labeler)
