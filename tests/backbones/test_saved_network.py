"""Networks in `.keras` files: scaling, statistics, and files that bring code."""

import json
import zipfile

import keras
import numpy as np
import pytest
import tensorflow as tf

from semivit_tf.backbones import create_backbone
from semivit_tf.backbones.saved_network import foreign_parts, load_saved
from semivit_tf.methods.classifier import Classifier
from semivit_tf.methods.ema_teacher import EMATeacher
from semivit_tf.methods.semi_vit import SemiViT
from semivit_tf.training.weight_files import load_weights, save_weights

RAN = []
IMAGES = np.random.default_rng(0).uniform(0, 255, (6, 8, 8, 1)).astype("float32")
SIZES = {"image_size": 8, "channels": 1}


def network(scaled=True, channels=1, **options):
    """1x1 convolutions, so that NumPy can follow; batch norm; mean over places."""
    images = keras.Input((8, 8, channels))
    features = images
    if scaled:
        features = keras.layers.Rescaling(1 / 100, -1.0)(features)
    features = keras.layers.Conv2D(5, 1, name="convolution", **options)(features)
    features = keras.layers.BatchNormalization(momentum=0.8, name="norm")(features)
    return keras.Model(images, keras.layers.GlobalAveragePooling2D()(features))


def saved(tmp_path, model):
    model.save(tmp_path / "company.keras")
    return str(tmp_path / "company.keras")


def convolved(backbone, images):
    kernel, bias = backbone.network.get_layer("convolution").get_weights()
    return (images / 100 - 1) @ kernel[0, 0] + bias


def test_features_are_those_of_the_file_on_pixels(tmp_path):
    source = network()
    source.get_layer("norm").set_weights([np.arange(1.0, 6.0)] * 4)
    backbone = create_backbone(f"keras:{saved(tmp_path, source)}", **SIZES)
    places = convolved(backbone, IMAGES).mean(axis=(1, 2))
    parts = np.arange(1.0, 6.0)
    expected = (places - parts) / np.sqrt(parts + 1e-3) * parts + parts
    np.testing.assert_allclose(backbone(IMAGES), expected, rtol=1e-4, atol=1e-4)
    np.testing.assert_array_equal(backbone(IMAGES.astype("uint8")[:0]).shape, (0, 5))


@pytest.mark.parametrize(
    ("scaling", "expected"),
    [
        ("own", [51, 102, 204]),
        ("unit", [0.2, 0.4, 0.8]),
        ("signed", [-0.6, -0.2, 0.6]),
        ("imagenet", [(0.2 - 0.485) / 0.229, (0.4 - 0.456) / 0.224, 0.394 / 0.225]),
    ],
)
def test_pixels_are_scaled_as_asked(tmp_path, scaling, expected):
    images = keras.Input((8, 8, 3))
    path = saved(tmp_path, keras.Model(images, keras.layers.AvgPool2D(8)(images)))
    backbone = load_saved(path, 8, pixel_scaling=scaling)
    pixels = np.broadcast_to(np.array([51, 102, 204], "uint8"), (2, 8, 8, 3))
    np.testing.assert_allclose(backbone(pixels), [expected] * 2, rtol=1e-5, atol=1e-6)


def test_a_frozen_network_learns_again(tmp_path):
    source = network()
    source.trainable = False
    backbone = load_saved(saved(tmp_path, source), **SIZES)
    assert len(backbone.trainable_variables) == 4


# === Batch norm ===


def statistics(model):
    backbone = getattr(model, "backbone", model)
    return [np.array(w) for w in backbone.network.get_layer("norm").get_weights()[2:]]


def batch_statistics(backbone, images):
    places = convolved(backbone, images).reshape(-1, 5)
    return places.mean(axis=0), places.var(axis=0)


def test_fine_tuning_moves_the_statistics_and_predicting_does_not(tmp_path):
    backbone = load_saved(saved(tmp_path, network()), **SIZES)
    model = Classifier(backbone, 3)
    model.compile(keras.optimizers.SGD(0.0), jit_compile=False)
    mean, variance = batch_statistics(backbone, IMAGES)
    model.fit(IMAGES, np.arange(6) % 3, batch_size=6, verbose=0)
    found = statistics(model)
    np.testing.assert_allclose(found[0], 0.2 * mean, rtol=1e-4, atol=1e-5)
    np.testing.assert_allclose(found[1], 0.8 + 0.2 * variance, rtol=1e-4)
    answers = model.predict(IMAGES, verbose=0)
    np.testing.assert_array_equal(statistics(model), found)
    alone = [model.predict(image[None], verbose=0)[0] for image in IMAGES]
    np.testing.assert_allclose(alone, answers, rtol=1e-4, atol=1e-5)
    # The next stage starts from them.
    save_weights(model, tmp_path / "student.safetensors")
    other = Classifier(load_saved(tmp_path / "company.keras", **SIZES), 3)
    load_weights(other, tmp_path / "student.safetensors")
    np.testing.assert_array_equal(statistics(other), found)


def test_the_teacher_s_statistics_follow_the_student_s(tmp_path):
    backbone = load_saved(saved(tmp_path, network()), **SIZES)
    options = {"mixup_alpha": 0.0, "cutmix_alpha": 0.0}
    model = SemiViT(backbone, 3, threshold=0.0, seed=0, **options)
    model.compile(keras.optimizers.SGD(0.0), jit_compile=False)
    start = statistics(model.teacher)
    views = {"image": IMAGES, "weak": IMAGES, "strong": IMAGES * 0.5}
    data = tf.data.Dataset.from_tensors((views, np.arange(6) % 3))
    model.fit(data, verbose=0, callbacks=[EMATeacher(0.75)])
    student, teacher = statistics(model.student), statistics(model.teacher)
    for first, moved, followed in zip(start, student, teacher, strict=True):
        assert np.abs(moved - first).max() > 1e-3
        np.testing.assert_allclose(followed, 0.75 * first + 0.25 * moved, rtol=1e-5)


# === Files that bring code, and others ===


def ran(features):
    RAN.append(features)
    return features


class Custom(keras.layers.Layer):
    def call(self, features):
        return ran(features)


@keras.saving.register_keras_serializable(package="company")
class Registered(Custom):
    pass


def with_layer(layer):
    return keras.Sequential([keras.Input((8, 8, 1)), layer])


@pytest.mark.parametrize(
    ("build", "received"),
    [
        (lambda: with_layer(keras.layers.Lambda(lambda x: x + 1)), "Lambda of the mod"),
        (lambda: with_layer(keras.layers.Lambda(ran)), "Lambda of the module keras.l"),
        (lambda: with_layer(with_layer(Custom())), "Custom of the module"),
        (lambda: with_layer(Registered()), "Registered of the module"),
        (lambda: network(activation=ran), "the function ran"),
    ],
)
def test_code_in_a_file_is_refused_and_does_not_run(tmp_path, build, received):
    path = saved(tmp_path, build())
    RAN.clear()
    with pytest.raises(ValueError) as caught:
        create_backbone(f"keras:{path}", **SIZES)
    line = str(caught.value)
    assert line.startswith(f"{path} cannot be used: it should be made of Keras' own")
    assert f"Received: {received}" in line and "\n" not in line
    assert not RAN


def test_code_that_is_known_here_is_refused_too(tmp_path):
    path = saved(tmp_path, with_layer(keras.layers.Lambda(ran)))
    RAN.clear()
    with keras.saving.custom_object_scope({"ran": ran}):
        with pytest.raises(ValueError, match="Received: Lambda"):
            load_saved(path, **SIZES)
    assert not RAN


@pytest.mark.parametrize(
    ("part", "received"),
    [
        ({"class_name": "Popen", "module": "subprocess"}, "Popen of the module subp"),
        ({"class_name": "get_file", "module": "keras.utils"}, "get_file of the module"),
        ({"class_name": "system", "module": "keras.layers.os path"}, "system of the"),
        ({"class_name": "TFSMLayer", "module": "keras.layers"}, "TFSMLayer of the mod"),
        ({"class_name": "Dense"}, "Dense of the module None"),
        ({"class_name": "enable", "module": "keras"}, "enable of the module keras"),
        (
            {"class_name": "function", "module": "os", "config": "relu"},
            "the function relu",
        ),
        (
            {"class_name": "function", "module": "builtins", "config": "get"},
            "the function get",
        ),
    ],
)
def test_what_a_config_may_not_ask_for(part, received):
    (found,) = foreign_parts({"config": {"layers": [{"config": [part]}]}})
    assert found.startswith(received)


def test_a_loss_of_ones_own_is_not_looked_at(tmp_path):
    source = network()
    source.compile("sgd", loss=lambda true, predicted: predicted)
    assert load_saved(saved(tmp_path, source), **SIZES).image_size == (8, 8)


def test_files_of_another_kind_are_refused(tmp_path):
    path = tmp_path / "file.keras"
    refused = f"^{path} cannot be used: "
    with pytest.raises(ValueError, match=f"^{path} does not exist$"):
        load_saved(path, 8)
    path.write_bytes(b"something")
    with pytest.raises(ValueError, match=f"{refused}File is not a zip file"):
        load_saved(path, 8)
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("config.json", json.dumps({"class_name": "Model"}))
    with pytest.raises(ValueError, match=f"{refused}it should be made of Keras' own"):
        load_saved(path, 8)
    keras.Sequential([keras.layers.Dense(3)]).save(path)
    with pytest.raises(ValueError, match="Sequential model .* has no defined inputs"):
        load_saved(path, 8)
    network(scaled=False).save(path)
    with pytest.raises(ValueError, match="`pixel_scaling`, --pixel_scaling, should be"):
        load_saved(path, **SIZES)
    with pytest.raises(ValueError, match="not be imagenet .* takes 1 channels"):
        load_saved(path, **SIZES, pixel_scaling="imagenet")
    with pytest.raises(ValueError, match="Received: pixel_scaling='other'"):
        load_saved(path, **SIZES, pixel_scaling="other")
    with pytest.raises(ValueError, match=r"`image_size` should be \(8, 8\)"):
        load_saved(path, 16, channels=1, pixel_scaling="unit")
