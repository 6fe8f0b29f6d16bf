"""The loss of Semi-ViT against NumPy, and what may and may not influence it."""

import keras
import numpy as np
import pytest
import tensorflow as tf
from scipy.special import log_softmax, softmax

from semivit_tf.methods.ema_teacher import EMATeacher
from semivit_tf.methods.semi_vit import SemiViT
from tests.methods.small import loss_and_terms, semi_batch, sharpen, small_vit


def build(**options):
    arguments = {"mixup_alpha": 0.0, "cutmix_alpha": 0.0, "seed": 0, **options}
    model = SemiViT(small_vit(), 3, **arguments)
    sharpen(model.student)
    model.teacher.set_weights(model.student.get_weights())
    return model


@pytest.fixture
def unmixed(monkeypatch):
    """Every row's partner is itself, so images and targets stay as they are."""
    real_argsort = keras.ops.argsort
    monkeypatch.setattr(
        "semivit_tf.augment.mixing.ops.argsort",
        lambda x, **kwargs: (
            tf.range(tf.shape(x)[0]) if len(x.shape) == 1 else real_argsort(x, **kwargs)
        ),
    )


def test_total_loss_equals_numpy_when_every_row_mixes_with_itself(unmixed):
    model = build(unlabeled_weight=5.0)
    views, labels = semi_batch()
    taught = softmax(np.asarray(model.teacher(views["weak"])), axis=1)
    threshold = float(np.median(taught.max(axis=1)))
    model.selection.threshold = threshold
    loss, terms = loss_and_terms(model, (views, labels))

    def targets(classes):
        return 0.9 * np.eye(3)[classes] + 0.1 / 3

    def cross_entropy(classes, logits):
        return -(targets(classes) * log_softmax(np.asarray(logits), axis=1)).sum(axis=1)

    labeled = cross_entropy(labels, model.student(views["image"])).mean()
    kept = taught.max(axis=1) >= threshold
    assert 0 < kept.sum() < len(kept)  # both sides of the threshold are tested
    rows = cross_entropy(taught.argmax(axis=1), model.student(views["strong"]))
    unlabeled = (rows * kept).sum() / len(kept)  # over all images, not the kept ones
    np.testing.assert_allclose(float(loss), labeled + 5 * unlabeled, rtol=1e-5)
    np.testing.assert_allclose(float(terms["kept"][0]), kept.mean(), rtol=1e-6)
    right = taught.argmax(axis=1) == views["unlabeled_label"]
    np.testing.assert_allclose(float(terms["pseudo_label_accuracy"][0]), right.mean())
    np.testing.assert_allclose(
        float(terms["pseudo_label_precision"][0]), (right & kept).sum() / kept.sum()
    )
    np.testing.assert_allclose(
        float(terms["pseudo_label_recall"][0]), (right & kept).sum() / right.sum()
    )


def test_nothing_kept_means_no_loss_and_no_gradient():
    model = build(threshold=1.1)
    prepared = model.prepare(semi_batch())
    with tf.GradientTape() as tape:
        _, terms = model.objective(prepared)
        loss = terms["unlabeled_loss"][0]
    gradients = tape.gradient(loss, model.student.trainable_variables)
    assert float(loss) == 0 and float(terms["kept"][0]) == 0
    assert len(gradients) > 10
    for gradient in gradients:
        np.testing.assert_array_equal(gradient, 0)


def test_a_threshold_of_zero_keeps_every_image():
    model = build(threshold=0.0)
    _, terms = loss_and_terms(model, semi_batch())
    assert float(terms["kept"][0]) == 1.0


def test_mean_is_over_all_images_when_a_quarter_counts(unmixed):
    model = build(threshold=0.5)
    views, labels = semi_batch(unlabeled=4)
    given = [[0.9, 0.05, 0.05], [0.3, 0.4, 0.3], [0.3, 0.3, 0.4], [0.4, 0.3, 0.3]]
    model.label = lambda images: tf.constant(given)
    _, terms = loss_and_terms(model, (views, labels))
    logits = np.asarray(model.student(views["strong"]))
    first = -(
        np.array([0.9 + 0.1 / 3, 0.1 / 3, 0.1 / 3]) * log_softmax(logits[0])
    ).sum()
    assert float(terms["kept"][0]) == 0.25
    np.testing.assert_allclose(float(terms["unlabeled_loss"][0]), first / 4, rtol=1e-5)


def test_true_labels_of_unlabelled_images_never_reach_the_loss():
    views, labels = semi_batch()
    other = {**views, "unlabeled_label": 2 - views["unlabeled_label"]}
    without = {k: v for k, v in views.items() if k != "unlabeled_label"}
    losses = []
    for batch in (views, other, without):
        keras.utils.set_random_seed(3)
        loss, terms = loss_and_terms(build(threshold=0.4), (batch, labels))
        losses.append(float(loss))
        assert ("pseudo_label_accuracy" in terms) == ("unlabeled_label" in batch)
    assert losses[0] == losses[1] == losses[2]


def test_pseudo_labels_do_not_depend_on_drop_path():
    views, _ = semi_batch(unlabeled=200)
    plain, dropping = (
        SemiViT(small_vit(depth=2, drop_path=rate), 3) for rate in (0.0, 0.9)
    )
    sharpen(plain.teacher)
    dropping.teacher.set_weights(plain.teacher.get_weights())
    np.testing.assert_array_equal(
        plain.label(views["weak"]), dropping.label(views["weak"])
    )
    student = np.asarray(dropping.student(views["weak"], training=True))
    assert np.isfinite(student).all()


def test_the_teacher_of_a_step_is_that_before_the_step():
    """Even at momentum 0 and a large step, which change the teacher at its end."""
    model = build(threshold=0.0)
    model.compile(keras.optimizers.SGD(5.0))
    EMATeacher(0.0).set_model(model)
    views, labels = semi_batch()
    before = np.asarray(model.teacher(views["weak"])).argmax(axis=1)
    data = tf.data.Dataset.from_tensors((views, labels))
    logged = model.fit(data, verbose=0, callbacks=[EMATeacher(0.0)]).history
    after = np.asarray(model.teacher(views["weak"])).argmax(axis=1)
    right = (before == views["unlabeled_label"]).mean()
    assert right != (after == views["unlabeled_label"]).mean()
    np.testing.assert_allclose(logged["pseudo_label_accuracy"][0], right, rtol=1e-6)


def test_gradients_reach_the_student_and_never_the_teacher():
    model = build(threshold=0.0)
    with tf.GradientTape() as tape:
        loss, _ = loss_and_terms(model, semi_batch())
    for variable in model.teacher.weights:
        tape_gradient = variable.trainable
        assert not tape_gradient
    assert len(model.trainable_variables) == len(model.student.trainable_variables)
    gradients = tape.gradient(loss, model.trainable_variables)
    assert all(gradient is not None for gradient in gradients)


def test_fit_learns_and_logs_whose_weights_it_measures():
    model = SemiViT(small_vit(), 3, unlabeled_weight=0.1, mixup_alpha=0, cutmix_alpha=0)
    model.compile(keras.optimizers.AdamW(3e-3))
    data = tf.data.Dataset.from_tensors(semi_batch(32, 32)).repeat()
    views, labels = semi_batch(32, 32)
    history = model.fit(
        data,
        steps_per_epoch=30,
        epochs=2,
        verbose=0,
        validation_data=(views["image"], labels),
        callbacks=[EMATeacher(0.9)],
    ).history
    assert history["labeled_loss"][1] < history["labeled_loss"][0]
    for name in ("student", "teacher"):
        assert f"val_{name}_accuracy" in history
        assert f"val_{name}_loss" in history
    logits = np.asarray(model.teacher(views["image"]))
    np.testing.assert_allclose(
        history["val_teacher_accuracy"][-1],
        (logits.argmax(1) == labels).mean(),
        rtol=1e-6,
    )
    predicted = model.predict(views["image"], verbose=0)
    np.testing.assert_allclose(predicted, logits, atol=1e-5)


def test_any_keras_model_from_images_to_features_is_a_backbone():
    inputs = keras.Input((8, 8, 1))
    features = keras.layers.Dense(6, activation="relu")(keras.layers.Flatten()(inputs))
    model = SemiViT(keras.Model(inputs, features), 3, threshold=0.0)
    model.compile(keras.optimizers.SGD(0.1))
    data = tf.data.Dataset.from_tensors(semi_batch())
    history = model.fit(data, verbose=0).history
    assert np.isfinite(history["loss"][0])
    assert model.teacher.count_params() == 64 * 6 + 6 + 6 * 3 + 3


def test_a_backbone_that_does_not_pool_is_refused():
    inputs = keras.Input((8, 8, 1))
    with pytest.raises(ValueError, match=r"features \[B, D\]"):
        SemiViT(keras.Model(inputs, keras.layers.Conv2D(2, 3)(inputs)), 3)


def test_losses_of_probabilities_are_refused():
    model = build()
    for loss in (
        "sparse_categorical_crossentropy",
        keras.losses.SparseCategoricalCrossentropy(),
        keras.losses.SparseCategoricalCrossentropy(from_logits=True, ignore_class=0),
        "categorical_crossentropy",  # it would take the logits for probabilities
        keras.losses.CategoricalCrossentropy(),
        keras.losses.categorical_crossentropy,
        keras.losses.KLDivergence(),
        keras.losses.Poisson(),
        "kl_divergence",
    ):
        with pytest.raises(ValueError, match="integer labels are smoothed"):
            model.compile(loss=loss)


@pytest.mark.parametrize("sparse", ["", "Sparse"])
def test_a_keras_loss_gives_the_same_labelled_loss(sparse):
    """Integer labels are smoothed first, so the sparse form stands for the other."""
    views, labels = semi_batch()
    model = build()
    loss = getattr(keras.losses, f"{sparse}CategoricalCrossentropy")
    model.compile(loss=loss(from_logits=True))
    _, terms = loss_and_terms(model, (views, labels))
    model.compile()
    _, own = loss_and_terms(model, (views, labels))
    assert float(own["labeled_loss"][0]) > 0.1
    np.testing.assert_allclose(
        float(terms["labeled_loss"][0]), float(own["labeled_loss"][0]), rtol=1e-6
    )


def test_a_trained_classifier_becomes_student_and_teacher():
    first = build()
    model = SemiViT(first.student, threshold=0.5)
    assert model.student is first.student
    for a, b in zip(model.teacher.weights, first.student.weights, strict=True):
        np.testing.assert_array_equal(a, b)
    with pytest.raises(ValueError, match="Received: num_classes=4"):
        SemiViT(first.student, 4)
