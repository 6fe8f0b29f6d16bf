"""Supervised learning: its loss by NumPy, its head, its metrics."""

import keras
import numpy as np
import pytest
import tensorflow as tf
from scipy.special import log_softmax

from semivit_tf.layers.projection_head import ProjectionHead
from semivit_tf.methods.classifier import Classifier
from semivit_tf.methods.projected_backbone import ProjectedBackbone
from tests.methods.small import loss_and_terms, semi_batch, sharpen, small_vit


def labeled(count=8):
    views, labels = semi_batch(count)
    return views["image"], labels


def test_loss_is_label_smoothing_cross_entropy():
    model = Classifier(small_vit(), 3, label_smoothing=0.1)
    sharpen(model)
    model.compile()
    images, labels = labeled()
    loss, _ = loss_and_terms(model, (images, labels))
    log_p = log_softmax(np.asarray(model(images), "float64"), axis=1)
    expected = -0.9 * log_p[np.arange(8), labels] - 0.1 * log_p.mean(axis=1)
    np.testing.assert_allclose(float(loss), expected.mean(), rtol=1e-5)


def test_the_head_starts_near_zero():
    model = Classifier(small_vit(width=64), 50)
    np.testing.assert_allclose(model.head.kernel.numpy().std(), 2e-5, rtol=0.2)
    np.testing.assert_array_equal(model.head.bias.numpy(), 0)


def test_evaluate_equals_numpy():
    model = Classifier(small_vit(), 7)
    sharpen(model)
    model.compile()
    images, _ = labeled(40)
    labels = np.random.default_rng(1).integers(0, 7, 40)
    results = model.evaluate(images, labels, batch_size=16, verbose=0, return_dict=True)
    logits = np.asarray(model(images), "float64")
    ranked = np.argsort(-logits, axis=1)
    expected = {
        "accuracy": (ranked[:, 0] == labels).mean(),
        "top5_accuracy": (ranked[:, :5] == labels[:, None]).any(axis=1).mean(),
        "loss": -log_softmax(logits, axis=1)[np.arange(40), labels].mean(),
    }
    assert set(results) == set(expected)
    for name, value in expected.items():
        np.testing.assert_allclose(results[name], value, rtol=1e-5)


def test_a_users_metric_is_used():
    model = Classifier(small_vit(), 3)
    top2 = keras.metrics.SparseTopKCategoricalAccuracy(2, name="top2")
    model.compile(metrics=["accuracy", top2])
    results = model.evaluate(*labeled(), verbose=0, return_dict=True)
    assert set(results) == {"loss", "accuracy", "top2"}
    assert results["top2"] >= results["accuracy"]


def test_fit_with_mixing_learns_a_simple_task():
    generator = np.random.default_rng(0)
    labels = generator.integers(0, 3, 96)
    images = generator.uniform(0, 60, (96, 8, 8, 1)).astype("float32")
    images[np.arange(96), labels * 3] += 180  # a bright row tells the class
    model = Classifier(small_vit(), 3, mixup_alpha=0.8, cutmix_alpha=1.0, seed=0)
    model.compile(keras.optimizers.AdamW(3e-3))
    data = tf.data.Dataset.from_tensors((images, labels)).repeat()
    model.fit(data, steps_per_epoch=80, verbose=0)
    assert model.evaluate(images, labels, verbose=0, return_dict=True)["accuracy"] == 1


def test_regularisation_of_a_users_backbone_is_part_of_the_loss():
    inputs = keras.Input((8, 8, 1))
    dense = keras.layers.Dense(4, kernel_regularizer=keras.regularizers.L2(0.5))
    backbone = keras.Model(inputs, dense(keras.layers.Flatten()(inputs)))
    model = Classifier(backbone, 3)
    model.compile(keras.optimizers.SGD(0.0))
    images, labels = labeled()
    penalty = 0.5 * (dense.kernel.numpy() ** 2).sum()
    loss = float(loss_and_terms(model, (images, labels))[0])
    logged = model.train_on_batch(images, labels, return_dict=True)["loss"]
    np.testing.assert_allclose(logged, loss + penalty, rtol=1e-5)


class BuiltByItself(keras.Model):
    """Makes a weight in its own `build`, and those of a layer when it is called."""

    image_shape = (8, 8, 1)

    def __init__(self):
        super().__init__()
        self.dense = keras.layers.Dense(4)

    def build(self, input_shape):
        self.scale = self.add_weight(shape=(4,), initializer="ones", name="scale")
        self.built = True

    def call(self, images):
        return self.scale * self.dense(keras.ops.mean(images, axis=(1, 2)))


@pytest.mark.parametrize(
    "wrap",
    [
        lambda backbone: Classifier(backbone, 3),
        lambda backbone: ProjectedBackbone(backbone, ProjectionHead(3)),
    ],
)
@pytest.mark.parametrize("built", [False, True])
def test_a_backbone_may_build_itself(wrap, built):
    backbone = BuiltByItself()
    if built:
        backbone.build((None, 8, 8, 1))
    model = wrap(backbone)
    assert [weight.shape for weight in backbone.weights] == [(4,), (1, 4), (4,)]
    assert model(np.ones((2, 8, 8, 1), "float32")).shape == (2, 3)
    assert len(model.trainable_variables) == 3 + len(model.head.trainable_variables)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"num_classes": 1}, "`num_classes`"),
        ({"num_classes": 3, "label_smoothing": 1.0}, "`label_smoothing`"),
    ],
)
def test_wrong_arguments_are_refused(options, message):
    with pytest.raises(ValueError, match=message):
        Classifier(small_vit(), **options)
