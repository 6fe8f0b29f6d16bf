"""Networks with batch norm: of which images its statistics are, who averages them."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from semivit_tf.methods.batch_statistics import batch_statistics
from semivit_tf.methods.classifier import Classifier
from semivit_tf.methods.ema_teacher import EMATeacher
from semivit_tf.methods.labelers import LABELERS
from semivit_tf.methods.semi_supervised import SemiSupervised
from tests.methods.small import (
    loss_and_terms,
    semi_batch,
    small_resnet,
    small_semiformer,
    small_vit,
)

BATCH = semi_batch(4, 12)
ONE_STREAM = ("teacher", "student", "student_in_training")


def normalized_pixels():
    """A backbone of one batch norm, whose statistics are those of the pixels."""
    images = keras.Input((8, 8, 1))
    flat = keras.layers.Flatten()(images)
    features = keras.layers.BatchNormalization(momentum=0.9, epsilon=1.0)(flat)
    return keras.Model(images, features)


def method(backbone=None, **options):
    unmixed = {"mixup_alpha": 0.0, "cutmix_alpha": 0.0}
    backbone = backbone or normalized_pixels()
    model = SemiSupervised(backbone, 3, **unmixed, **options)
    model.selection.threshold = 0.0
    model.compile(keras.optimizers.SGD(0.1), jit_compile=False)
    return model


def learned_pixels():
    views, _ = BATCH
    return np.concatenate([views["image"], views["strong"]]).reshape(16, 64)


def test_labelled_and_shown_images_share_a_pass_and_weak_ones_leave_no_trace():
    for labeler in ONE_STREAM:
        model = method(labeler=labeler)
        model.train_on_batch(*BATCH)
        mean, variance = batch_statistics(model.student)
        pixels = learned_pixels()
        np.testing.assert_allclose(mean, 0.1 * pixels.mean(0), rtol=1e-4)
        expected = 0.9 + 0.1 * pixels.var(0)
        np.testing.assert_allclose(variance, expected, rtol=1e-4)


@pytest.mark.parametrize("labeler", LABELERS)
def test_labelling_does_not_move_the_statistics(labeler):
    backbone = None if labeler in ONE_STREAM else small_semiformer()
    model = method(backbone, labeler=labeler)
    before = [weight.numpy() for weight in model.weights]
    label = tf.function(model.label)
    for images in (BATCH[0]["weak"], tf.constant(BATCH[0]["weak"])):
        for function in (model.label, label):
            function(images)
    for weight, value in zip(model.weights, before, strict=True):
        np.testing.assert_array_equal(weight, value)
    assert len(batch_statistics(model.student)) >= 2


def test_who_trains_labels_by_the_statistics_of_the_batch_and_others_by_running_ones():
    model = method(labeler="student")
    model.student.head.kernel.assign(keras.random.normal((64, 3), seed=0))
    weak = BATCH[0]["weak"].reshape(12, 64)
    normal = {
        "student": weak / np.sqrt(2.0),
        "student_in_training": (weak - weak.mean(0)) / np.sqrt(weak.var(0) + 1.0),
    }
    for model.labeler, features in normal.items():
        logits = features @ model.student.head.kernel.numpy()
        found = model.label(BATCH[0]["weak"])
        expected = tf.nn.softmax(logits)
        np.testing.assert_allclose(found, expected, rtol=1e-2, atol=1e-3)


def test_the_loss_is_that_of_one_pass():
    model = method()
    kernel = keras.random.normal((64, 3), seed=0)
    model.student.head.kernel.assign(kernel)
    prepared = model.prepare(BATCH)
    loss, terms = model.objective(prepared)
    pixels = learned_pixels()
    features = (pixels - pixels.mean(0)) / np.sqrt(pixels.var(0) + 1.0)
    targets = np.concatenate([prepared["target"], prepared["pseudo_target"]])
    logs = tf.nn.log_softmax(features @ kernel.numpy())
    losses = -(targets * logs.numpy()).sum(1)
    np.testing.assert_allclose(terms["unlabeled_loss"][0], losses[4:].mean(), rtol=1e-3)
    expected = losses[:4].mean() + losses[4:].mean()
    np.testing.assert_allclose(loss, expected, rtol=1e-3)


def test_the_teacher_averages_the_statistics_too():
    model = method()
    data = tf.data.Dataset.from_tensors(BATCH)
    model.fit(data, verbose=0, callbacks=[EMATeacher(0.75)])
    pairs = zip(
        batch_statistics(model.student), batch_statistics(model.teacher), strict=True
    )
    for (student, teacher), start in zip(pairs, (0.0, 1.0), strict=True):
        expected = 0.75 * start + 0.25 * student.numpy()
        np.testing.assert_allclose(teacher, expected, rtol=1e-6)
        assert np.abs(student.numpy() - start).max() > 1.0


def test_without_batch_statistics_each_kind_of_image_has_a_pass():
    passes = []
    for backbone, expected in ((small_vit(), [4, 12]), (normalized_pixels(), [16])):
        model = method(backbone)
        scores = model.student.scores

        def counted(images, training=False, scores=scores):
            passes.append(int(images.shape[0]))
            return scores(images, training=training)

        model.student.scores = counted
        loss_and_terms(model, BATCH)
        assert passes == expected
        passes.clear()


def test_synchronised_replicas_learn_like_one_device(mirrored):
    """All weights and running statistics, after two steps."""
    views, labels = semi_batch(16)
    found = []
    for strategy in (tf.distribute.get_strategy(), mirrored):
        keras.utils.set_random_seed(0)
        with strategy.scope():
            model = Classifier(small_resnet(synchronized=True), 3)
            model.compile(keras.optimizers.SGD(0.1), jit_compile=False)
        data = tf.data.Dataset.from_tensors((views["image"], labels)).repeat(2)
        model.fit(data, verbose=0)
        found.append([weight.numpy() for weight in model.weights])
    assert len(found[0]) > 40
    for one, other in zip(*found, strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-3, atol=1e-4)
