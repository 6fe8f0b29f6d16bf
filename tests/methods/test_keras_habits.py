"""What users of Keras are used to: each works, or says in one sentence what to do."""

import keras
import numpy as np
import pytest
import tensorflow as tf
from scipy.special import log_softmax
from sklearn.metrics import f1_score

from semivit_tf.methods.averaged_classifier import AveragedClassifier
from semivit_tf.methods.classifier import Classifier
from semivit_tf.methods.semi_vit import SemiViT
from tests.methods.small import loss_and_terms, semi_batch, sharpen, small_vit


def flat():
    images = keras.Input((8, 8, 1))
    scaled = keras.layers.Rescaling(1 / 255)(keras.layers.Flatten()(images))
    return keras.Model(images, scaled)


def classifier(**options):
    model = Classifier(flat(), 3, seed=0, **options)
    sharpen(model)
    return model


def examples(count=8):
    views, labels = semi_batch(count)
    return views["image"], labels


def numpy_losses(model, images, labels, smoothing):
    targets = np.eye(3)[labels] * (1 - smoothing) + smoothing / 3
    return -(targets * log_softmax(np.asarray(model(images), "float64"), 1)).sum(1)


# === Labels ===


@pytest.mark.parametrize("mixup_alpha", [0.0, 0.8])
def test_one_hot_labels_and_columns_are_learned_as_numbers_are(mixup_alpha):
    images, labels = examples()
    losses = []
    for form in (labels, labels[:, None], np.eye(3, dtype="int32")[labels]):
        model = classifier(mixup_alpha=mixup_alpha)
        model.compile(keras.optimizers.SGD(0.1))
        results = model.evaluate(images, form, verbose=0, return_dict=True)
        history = model.fit(images, form, verbose=0, epochs=2, shuffle=False).history
        losses.append([*results.values(), *history["loss"]])
    assert losses[0][2] > losses[0][3] if not mixup_alpha else losses[0][2] > 0
    np.testing.assert_allclose(losses[1], losses[0], rtol=1e-6)
    np.testing.assert_allclose(losses[2], losses[0], rtol=1e-6)


def test_labels_may_be_distributions():
    images, _ = examples(2)
    targets = np.array([[0.5, 0.5, 0.0], [0.2, 0.3, 0.5]], "float32")
    model = classifier(label_smoothing=0.0)
    loss, _ = loss_and_terms(model, (images, targets))
    log_p = log_softmax(np.asarray(model(images), "float64"), 1)
    np.testing.assert_allclose(loss, -(targets * log_p).sum(1).mean(), rtol=1e-5)
    model.compile()
    with pytest.raises(ValueError, match=r"a sum of 1\. Received: \[0.5 0.5 0.5\]"):
        model.fit(images, np.full((2, 3), 0.5, "float32"), verbose=0)
    with pytest.raises(ValueError, match=r"distributions \[B, 3\]. Received: shape"):
        model.fit(images, np.full((2, 2), 0.5, "float32"), verbose=0)


# === Weights ===


@pytest.mark.parametrize("smoothing", [0.0, 0.1])
def test_sample_weights_weigh_the_loss(smoothing):
    images, labels = examples()
    weights = np.linspace(0, 2, 8).astype("float32")
    model = classifier(label_smoothing=smoothing)
    model.compile(keras.optimizers.SGD(0.0))
    expected = (weights * numpy_losses(model, images, labels, smoothing)).mean()
    history = model.fit(images, labels, sample_weight=weights, verbose=0).history
    np.testing.assert_allclose(history["loss"], [expected], rtol=1e-5)
    results = model.evaluate(
        images, labels, sample_weight=weights, verbose=0, return_dict=True
    )
    expected = (weights * numpy_losses(model, images, labels, 0.0)).mean()
    np.testing.assert_allclose(results["loss"], expected, rtol=1e-5)


@pytest.mark.parametrize("as_data_set", [False, True])
def test_class_weights_weigh_the_loss(as_data_set):
    """Also of a class beyond the last one that has a weight, at which Keras fails."""
    images, labels = examples(20)
    assert set(labels) == {0, 1, 2}
    model = classifier()
    model.compile(keras.optimizers.SGD(0.0))
    weights = np.array([5.0, 0.5, 1.0])[labels]
    expected = (weights * numpy_losses(model, images, labels, 0.1)).mean()
    data = (images, labels)
    if as_data_set:
        data = (tf.data.Dataset.from_tensors(data),)
    class_weight = {0: 5, 1: 0.5}
    history = model.fit(
        *data,
        batch_size=None if as_data_set else 20,
        class_weight=class_weight,
        verbose=0,
    ).history
    np.testing.assert_allclose(history["loss"], [expected], rtol=1e-5)
    with pytest.raises(ValueError, match="keys of 0 to 2. Received: 3$"):
        model.fit(*data, class_weight={3: 1.0}, verbose=0)


@pytest.mark.parametrize("cut", [False, True])
def test_a_mixed_label_has_the_weight_of_its_own_image(cut):
    """The loss is linear in the targets, so each label counts with its own weight."""
    images, labels = examples(6)
    weights = np.array([3, 0, 1, 0, 0, 2], "float32")
    alphas = {"mixup_alpha": 0.0, "cutmix_alpha": 0.8} if cut else {"mixup_alpha": 0.8}
    plain = classifier(label_smoothing=0.0, **alphas).examples(images, labels)
    model = classifier(label_smoothing=0.0, **alphas)
    found = model.examples(images, labels, weights)
    np.testing.assert_array_equal(found["image"], plain["image"])
    targets = np.asarray(plain["target"])
    row = next(i for i in range(3) if labels[i] != labels[5 - i])
    own = targets[row, labels[row]]
    assert 0.01 < own < 0.99
    # The share of image i in its mixture is that of image 5 - i in its own.
    expected = np.zeros((6, 3))
    for i in range(6):
        expected[i, labels[i]] += own * weights[i]
        expected[i, labels[5 - i]] += (1 - own) * weights[5 - i]
    weighted = np.asarray(found["target"]) * np.asarray(found["target_weight"])[:, None]
    np.testing.assert_allclose(weighted, expected, atol=1e-6)


@pytest.mark.parametrize("jit_compile", [False, True])
def test_weights_of_semi_supervised_batches_weigh_the_labelled_loss(jit_compile):
    views, labels = semi_batch()
    weights = np.array([0.0, 1.0, 2.0, 3.0], "float32")
    logged = []
    for batch in ((views, labels), (views, labels, weights)):
        model = SemiViT(flat(), 3, mixup_alpha=0, cutmix_alpha=0, seed=0, threshold=0.0)
        sharpen(model.student)
        sharpen(model.teacher)
        losses = numpy_losses(model.student, views["image"], labels, 0.1)
        model.compile(keras.optimizers.SGD(0.0), jit_compile=jit_compile)
        data = tf.data.Dataset.from_tensors(batch)
        logged.append(model.fit(data, verbose=0, shuffle=False).history)
    np.testing.assert_allclose(logged[0]["labeled_loss"], [losses.mean()], rtol=1e-5)
    expected = (weights * losses).mean()
    np.testing.assert_allclose(logged[1]["labeled_loss"], [expected], rtol=1e-5)
    unlabeled = [history["unlabeled_loss"] for history in logged]
    np.testing.assert_allclose(unlabeled[1], unlabeled[0], rtol=1e-6)
    data = tf.data.Dataset.from_tensors((views, labels))
    weighted = model.fit(data, class_weight={0: 2.0, 1: 2.0, 2: 2.0}, verbose=0).history
    np.testing.assert_allclose(weighted["labeled_loss"], [2 * losses.mean()], rtol=1e-5)


# === Metrics ===


def own_metric(labels, logits):
    return keras.ops.cast(keras.ops.argmax(logits, -1) == labels, "float32")


def test_metrics_have_the_names_that_the_user_gave_them():
    model = AveragedClassifier(flat(), 3)
    sharpen(model.teacher)
    given = [
        "acc",
        "sparse_categorical_accuracy",
        "categorical_accuracy",
        own_metric,
        keras.metrics.SparseCategoricalAccuracy(name="mine"),
    ]
    model.compile(metrics=given)
    images, labels = examples(20)
    results = model.evaluate(images, labels, verbose=0, return_dict=True)
    names = ["acc", "sparse_categorical_accuracy", "categorical_accuracy"]
    names += ["own_metric", "mine"]
    assert set(results) == {
        prefix + name
        for prefix in ("", "student_", "teacher_")
        for name in [*names, "loss"]
    }
    accuracy = (np.asarray(model.teacher(images)).argmax(1) == labels).mean()
    for name in names:
        np.testing.assert_allclose(results[name], accuracy, rtol=1e-6)
    model.compile(metrics="acc")
    assert "acc" in model.evaluate(images, labels, verbose=0, return_dict=True)
    with pytest.raises(ValueError, match="`metrics` should be a list"):
        model.compile(metrics={"output": "acc"})


@pytest.mark.parametrize("one_hot", [False, True])
def test_f1_equals_scikit_learn(one_hot):
    model = classifier()
    model.compile(metrics=[keras.metrics.F1Score("macro")])
    images, labels = examples(40)
    form = np.eye(3, dtype="float32")[labels] if one_hot else labels
    history = model.fit(images, form, validation_data=(images, form), verbose=0).history
    found = np.asarray(model(images)).argmax(1)
    expected = f1_score(labels, found, average="macro")
    np.testing.assert_allclose(history["val_f1_score"], [expected], rtol=1e-5)


def test_weighted_metrics_regard_the_weights():
    model = classifier()
    model.compile(metrics=["accuracy"], weighted_metrics=["acc"])
    images, labels = examples(20)
    weights = np.linspace(0, 1, 20).astype("float32")
    results = model.evaluate(
        images, labels, sample_weight=weights, verbose=0, return_dict=True
    )
    right = np.asarray(model(images)).argmax(1) == labels
    np.testing.assert_allclose(results["accuracy"], right.mean(), rtol=1e-6)
    expected = (weights * right).sum() / weights.sum()
    np.testing.assert_allclose(results["acc"], expected, rtol=1e-5)
    assert abs(expected - right.mean()) > 0.01


def test_early_stopping_watches_the_network_that_answers():
    model = SemiViT(flat(), 3)
    model.compile(keras.optimizers.SGD(0.0))
    data = tf.data.Dataset.from_tensors(semi_batch())
    stop = keras.callbacks.EarlyStopping(
        monitor="val_accuracy", patience=2, restore_best_weights=True
    )
    history = model.fit(
        data, epochs=9, validation_data=examples(), callbacks=[stop], verbose=0
    ).history
    assert len(history["loss"]) == 3
    for name in ("accuracy", "loss"):
        assert history[f"val_{name}"] == history[f"val_teacher_{name}"]


# === Data ===


def test_plain_pairs_for_a_semi_supervised_method_are_refused():
    model = SemiViT(flat(), 3)
    model.compile()
    message = r"batches \(\{image, weak, strong\}, label\), which `semivit_tf.pair_da"
    with pytest.raises(ValueError, match=message):
        model.fit(*examples(), verbose=0)
    views, labels = semi_batch()
    del views["strong"]
    with pytest.raises(ValueError, match=message):
        model.fit(tf.data.Dataset.from_tensors((views, labels)), verbose=0)


def image_folder(folder, count=4):
    for label in ("cat", "dog", "owl"):
        (folder / label).mkdir(parents=True)
        for number in range(count):
            level = {"cat": 20, "dog": 120, "owl": 220}[label] + number
            image = np.full((9, 11, 3), level, "uint8")
            keras.utils.save_img(folder / label / f"{number}.png", image, scale=False)
    return folder


@pytest.mark.parametrize("label_mode", ["int", "categorical"])
def test_a_folder_read_by_keras_is_learned(tmp_path, label_mode):
    data = keras.utils.image_dataset_from_directory(
        image_folder(tmp_path),
        label_mode=label_mode,
        image_size=(8, 8),
        batch_size=5,  # the last batch is smaller
        seed=0,
        verbose=False,
    )
    model = Classifier(small_vit(channels=3), 3)
    model.compile(keras.optimizers.AdamW(3e-3))
    model.fit(data, epochs=60, verbose=0)
    results = model.evaluate(data, verbose=0, return_dict=True)
    assert results["accuracy"] == 1


# === Shapes and files ===


def test_images_of_another_size_are_predicted_and_learned():
    model = Classifier(small_vit(), 3)
    sharpen(model)
    model.compile()
    generator = np.random.default_rng(0)
    for size in (8, 16, 12, 8):
        images = generator.uniform(0, 255, (3, size, size, 1)).astype("float32")
        labels = np.arange(3)
        logits = np.asarray(model(images))
        np.testing.assert_allclose(model.predict(images, verbose=0), logits, rtol=1e-4)
        results = model.evaluate(images, labels, verbose=0, return_dict=True)
        expected = (logits.argmax(1) == labels).mean()
        np.testing.assert_allclose(results["accuracy"], expected, rtol=1e-6)
        assert np.isfinite(model.fit(images, labels, verbose=0).history["loss"][0])
    with pytest.raises(ValueError, match=r"multiples of the patch size 4. Received"):
        model.predict(np.zeros((1, 10, 8, 1)), verbose=0)


def test_a_saved_teacher_is_loaded_and_knows_its_shapes(tmp_path):
    model = SemiViT(small_vit(), 3)
    sharpen(model.teacher)
    model.teacher.save(tmp_path / "teacher.keras")
    loaded = keras.models.load_model(tmp_path / "teacher.keras")
    assert loaded.input_shape == (None, 8, 8, 1)
    assert loaded.output_shape == model.output_shape == (None, 3)
    images, _ = examples()
    np.testing.assert_allclose(
        loaded.predict(images, verbose=0), model.teacher(images), atol=1e-5
    )


@pytest.mark.parametrize("method", [Classifier, SemiViT])
def test_a_model_is_exported_before_it_is_called(tmp_path, method):
    model = method(small_vit(), 3)
    sharpen(model if method is Classifier else model.teacher)
    model.export(tmp_path / "exported", verbose=False)
    images, _ = examples()
    served = tf.saved_model.load(str(tmp_path / "exported"))
    np.testing.assert_allclose(served.serve(images), model(images), atol=1e-5)
