"""A head for each of two streams: their scores, sum, loss and metrics."""

import keras
import numpy as np
import pytest
import tensorflow as tf
from scipy.special import log_softmax

from semivit_tf.methods.averaged_classifier import AveragedClassifier
from semivit_tf.methods.classifier import Classifier
from semivit_tf.methods.two_stream_classifier import (
    TwoStreamClassifier,
    create_classifier,
)
from semivit_tf.training.optimizers import layer_scales
from tests.methods.small import semi_batch, small_semiformer, small_vit


def labeled(count=8):
    views, labels = semi_batch(count)
    return views["image"], labels


def sharpened(model):
    """Gives both heads weights of a size at which they differ."""
    for number, head in enumerate(model.head.heads):
        shape = head.kernel.shape
        head.kernel.assign(keras.random.normal(shape, stddev=2.0, seed=number))
        head.bias.assign([0.0, 1.0, 2.0 * number])
    return model


@pytest.fixture(scope="module")
def model():
    keras.utils.set_random_seed(3)  # of these weights both heads see several classes
    model = sharpened(TwoStreamClassifier(small_semiformer(), 3, label_smoothing=0.1))
    model.compile(keras.optimizers.SGD(0.0), jit_compile=False)
    return model


def test_scores_are_of_both_heads_and_the_answer_is_their_sum(model):
    images, _ = labeled()
    scores = model.scores(images)
    assert scores.shape == (8, 2, 3)
    features = model.backbone(images)
    for number, (feature, head) in enumerate(
        zip(features, model.head.heads, strict=True)
    ):
        expected = feature.numpy() @ head.kernel.numpy() + head.bias.numpy()
        np.testing.assert_allclose(scores[:, number], expected, atol=1e-5)
    np.testing.assert_allclose(model(images), scores.numpy().sum(1), atol=1e-5)
    assert model.compute_output_shape(images.shape) == (8, 3)
    assert np.abs(scores[:, 0] - scores[:, 1]).max() > 0.1


def test_the_loss_is_the_mean_of_both_heads(model):
    images, labels = labeled()
    prepared = model.prepare((images, labels))
    scores = model.scores(images, training=True)
    losses = []
    for number in range(2):
        logs = log_softmax(scores.numpy()[:, number].astype("float64"), axis=1)
        losses.append(-0.9 * logs[np.arange(8), labels] - 0.1 * logs.mean(1))
    found = model.mean_labeled_loss(prepared, scores=scores)
    np.testing.assert_allclose(found, np.mean(losses), rtol=1e-5)


@pytest.mark.parametrize("classes", [3, 10])
def test_smoothed_labels_have_the_loss_of_the_formula(classes):
    """ln K for even scores; 0.1 (K - 1) / K of the scale for one-hot ones."""
    model = TwoStreamClassifier(small_semiformer(), classes, label_smoothing=0.1)
    labels = np.arange(4) % classes
    target = {"target": model.mixed(np.zeros((4, 8, 8, 1)), labels)[1]}
    even = model.mean_labeled_loss(target, scores=tf.zeros((4, 2, classes)))
    np.testing.assert_allclose(even, np.log(classes), rtol=1e-6)
    scores = np.repeat(np.eye(classes)[labels][:, None], 2, axis=1).astype("float32")
    found = model.mean_labeled_loss(target, scores=200 * scores)
    np.testing.assert_allclose(found, 20 * (classes - 1) / classes, rtol=1e-5)


def test_validation_tells_both_accuracies_and_that_of_the_sum(model):
    images, labels = labeled(40)
    scores = model.scores(images).numpy()
    labels[:20] = scores[:20, 0].argmax(axis=-1)  # so one head is right more often
    found = model.evaluate(images, labels, batch_size=16, verbose=0, return_dict=True)
    right = (scores.argmax(axis=-1) == labels[:, None]).mean(axis=0)
    logits = scores.sum(1).astype("float64")
    expected = {
        "convolutional_accuracy": right[0],
        "transformer_accuracy": right[1],
        "accuracy": (logits.argmax(1) == labels).mean(),
        "loss": -log_softmax(logits, axis=1)[np.arange(40), labels].mean(),
    }
    assert set(found) == set(expected) and len(set(right)) == 2
    for name, value in expected.items():
        np.testing.assert_allclose(found[name], value, rtol=1e-5)


def test_metrics_say_whose_stream_they_measure():
    model = AveragedClassifier(small_semiformer(), 3)
    assert isinstance(model.student, TwoStreamClassifier)
    model.compile(keras.optimizers.SGD(0.1), jit_compile=False)
    found = model.evaluate(*labeled(), verbose=0, return_dict=True)
    of_one = {"loss", "accuracy", "convolutional_accuracy", "transformer_accuracy"}
    whose = {f"{who}_{name}" for who in ("student", "teacher") for name in of_one}
    assert set(found) == of_one | whose
    assert model.selecting_metric == "val_teacher_accuracy"


def test_two_features_decide_on_two_heads():
    assert type(create_classifier(small_vit(), 3)) is Classifier
    images = keras.Input((8, 8, 1))
    flat = keras.layers.Flatten()(images)
    features = [keras.layers.Dense(4)(flat), keras.layers.Dense(5)(flat)]
    users = create_classifier(keras.Model(images, features), 3)
    assert type(users) is TwoStreamClassifier
    assert users(np.zeros((2, 8, 8, 1))).shape == (2, 3)
    with pytest.raises(ValueError, match="two features .* Received"):
        TwoStreamClassifier(small_vit(), 3)
    with pytest.raises(ValueError, match="to features .* Received"):
        Classifier(small_semiformer(), 3)


def test_layers_learn_at_rates_of_their_own(model):
    scales = layer_scales(model, 0.5)
    found = dict(zip([v.path for v in model.trainable_variables], scales, strict=True))
    assert {round(np.log2(scale)) for scale in scales} == {0, -1, -2, -3}
    assert [scale for path, scale in found.items() if "head/" in path] == [1.0] * 4
