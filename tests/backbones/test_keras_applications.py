"""Networks of keras.applications: scaling by hand, twins, files, learning."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from semivit_tf.backbones import create_backbone
from semivit_tf.backbones.keras_applications import (
    ApplicationScaling,
    create_application,
)
from semivit_tf.methods.classifier import Classifier
from semivit_tf.methods.moving_teacher import twin
from semivit_tf.methods.semi_vit import SemiViT
from semivit_tf.training.optimizers import layer_wise_adamw
from semivit_tf.training.weight_files import load_weights, save_weights, weight_names


def pictures(count=2, size=32, channels=3, seed=0):
    generator = np.random.default_rng(seed)
    return generator.uniform(0, 255, (count, size, size, channels)).astype("float32")


# What happens to the pixel (51, 102, 204), worked out by hand.
BY_HAND = {
    "tf": [51 / 127.5 - 1, 102 / 127.5 - 1, 204 / 127.5 - 1],
    "torch": [(0.2 - 0.485) / 0.229, (0.4 - 0.456) / 0.224, (0.8 - 0.406) / 0.225],
    "caffe": [204 - 103.939, 102 - 116.779, 51 - 123.68],
    "none": [51, 102, 204],
}


@pytest.mark.parametrize(
    ("application", "kind"),
    [
        ("ConvNeXtTiny", "none"),
        ("DenseNet121", "torch"),
        ("EfficientNetB0", "none"),
        ("EfficientNetV2B0", "none"),
        ("InceptionResNetV2", "tf"),
        ("InceptionV3", "tf"),
        ("MobileNet", "tf"),
        ("MobileNetV2", "tf"),
        ("MobileNetV3Small", "none"),
        ("NASNetMobile", "tf"),
        ("ResNet50", "caffe"),
        ("ResNet50V2", "tf"),
        ("VGG16", "caffe"),
        ("VGG19", "caffe"),
        ("Xception", "tf"),
    ],
)
def test_pixels_are_scaled_as_the_network_wants_them(application, kind):
    pixel = np.array([51, 102, 204], "uint8").reshape(1, 1, 1, 3)
    scaled = np.asarray(ApplicationScaling(application)(pixel)).ravel()
    np.testing.assert_allclose(scaled, BY_HAND[kind], rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize(
    ("name", "factor"),
    [("MobileNetV3Small", 1 / 127.5), ("EfficientNetV2B0", 1 / 255)],
)
def test_networks_that_are_given_pixels_scale_them_inside(name, factor):
    network = create_application(name, 32).network
    scales = [x.scale for x in network.layers if isinstance(x, keras.layers.Rescaling)]
    assert scales == [factor]


def test_features_are_those_of_the_network_on_its_preprocessed_input():
    backbone = create_application("VGG16", 32)
    assert backbone.count_params() == 14_714_688  # as Keras documents it, headless
    assert backbone.image_shape == (32, 32, 3)
    images = pictures()
    prepared = keras.applications.vgg16.preprocess_input(images.copy())
    expected = np.asarray(backbone.network(prepared))
    assert expected.shape == (2, 512) and expected.std() > 0
    np.testing.assert_allclose(backbone(images), expected, rtol=1e-4, atol=1e-4)
    assert backbone.compute_output_shape((7, 32, 32, 3)) == (7, 512)


def test_grey_images_are_seen_as_colour_images():
    backbone = create_application("VGG16", 32, channels=1)
    grey = pictures(channels=1)
    colour = backbone.network(backbone.scaling(np.repeat(grey, 3, axis=-1)))
    np.testing.assert_allclose(backbone(grey), colour, rtol=1e-5)


def disturb(backbone):
    """Moves all weights, moving averages too; variances stay positive."""
    generator = np.random.default_rng(0)
    for weight in backbone.weights:
        if "float" in weight.dtype:
            weight.assign_add(generator.uniform(0, 0.02, weight.shape))


@pytest.mark.parametrize("name", ["MobileNetV3Small", "ConvNeXtTiny"])
def test_a_twin_and_a_saved_file_give_the_same_answers(name, tmp_path):
    """Of the two, one counts its layers without names up in every instance."""
    student = Classifier(create_application(name, 32), 3, name="student")
    disturb(student)
    images = pictures()
    expected = np.asarray(student(images))
    assert np.ptp(expected) > 1e-3
    np.testing.assert_allclose(twin(student, "teacher")(images), expected, rtol=1e-5)
    save_weights(student, tmp_path / "student.safetensors")
    other = Classifier(create_application(name, 32), 3, name="other")
    assert list(weight_names(other)) == list(weight_names(student))
    load_weights(other, tmp_path / "student.safetensors")
    np.testing.assert_allclose(other(images), expected, rtol=1e-5)


def test_a_file_of_weights_is_read(tmp_path):
    source = create_application("MobileNetV3Small", 32)
    disturb(source)
    file = tmp_path / "small.weights.h5"
    source.network.save_weights(file)
    backbone = create_backbone(f"keras_applications:MobileNetV3Small:{file}")
    assert backbone.image_size == (224, 224)
    pairs = zip(backbone.get_weights(), source.get_weights(), strict=True)
    for read, written in pairs:
        np.testing.assert_array_equal(read, written)


def test_weights_of_keras_are_asked_for_by_name(tmp_path, monkeypatch):
    file = tmp_path / "small.weights.h5"
    source = create_application("MobileNetV3Small", 32)
    source.network.save_weights(file)
    asked = []

    def get_file(name, url, **kwargs):
        asked.append(name)
        if len(asked) > 1:
            raise Exception("URL fetch failure")
        return file

    monkeypatch.setattr("keras.src.utils.file_utils.get_file", get_file)
    backbone = create_application("MobileNetV3Small:imagenet", 32)
    assert asked == ["weights_mobilenet_v3_small_224_1.0_float_no_top_v2.h5"]
    kernel, expected = (x.network.get_layer("conv").kernel for x in (backbone, source))
    np.testing.assert_array_equal(kernel, expected)
    with pytest.raises(ValueError, match="URL fetch failure. Received: imagenet"):
        create_application("MobileNetV3Small:imagenet", 32)


def test_mixed_precision_reaches_the_network_and_its_twin():
    keras.config.set_dtype_policy("mixed_bfloat16")
    try:
        student = Classifier(create_application("MobileNetV3Small", 32), 3)
        teacher = twin(student, "teacher")
        answer = teacher(pictures())
    finally:
        keras.config.set_dtype_policy("float32")
    assert answer.dtype == tf.bfloat16
    assert {w.dtype for w in teacher.trainable_weights} == {"float32"}
    layers = teacher.backbone.network.layers
    computed = {x.compute_dtype for x in layers if isinstance(x, keras.layers.Conv2D)}
    assert computed == {"bfloat16"}


@pytest.mark.slow
def test_a_few_steps_of_semi_supervised_learning_reduce_the_loss():
    """And the teacher's moving statistics follow the student's."""
    backbone = create_application("MobileNet", 32)
    options = {"mixup_alpha": 0.0, "cutmix_alpha": 0.0, "seed": 0}
    model = SemiViT(backbone, 3, threshold=0.0, unlabeled_weight=1.0, **options)
    model.compile(layer_wise_adamw(model, 1e-3), jit_compile=False)
    views = {"image": pictures(6), "weak": pictures(8, seed=1)}
    views["strong"] = views["weak"] * 0.9
    data = tf.data.Dataset.from_tensors((views, np.arange(6) % 3)).repeat(5)

    def statistics(network):
        weights = [w for w in network.weights if w.path.endswith("moving_mean")]
        assert len(weights) > 10
        return np.concatenate([np.ravel(w) for w in weights])

    start = statistics(model.teacher)
    history = model.fit(data, epochs=2, verbose=0).history
    assert history["labeled_loss"][1] < 0.7 * history["labeled_loss"][0]
    student, teacher = statistics(model.student), statistics(model.teacher)
    moved = np.abs(teacher - start).sum() / np.abs(student - start).sum()
    assert 0 < moved < 10 * 1e-4  # ten updates of momentum 0.9999


def test_layer_decay_needs_layer_groups():
    model = Classifier(create_application("VGG16", 32), 3)
    with pytest.raises(ValueError, match="Received: layer_decay=0.65"):
        layer_wise_adamw(model, 1e-3, layer_decay=0.65)


@pytest.mark.parametrize(
    ("name", "options", "message"),
    [
        ("ResNet50V3", {}, "should be a network of keras.applications: ConvNeXtBase"),
        ("vgg16", {}, "Received: 'vgg16'"),
        ("VGG16", {"image_size": 8}, "at least 32x32"),
        ("VGG16", {"channels": 4}, "`channels` should be 1 or 3. Received: 4"),
        ("VGG16:absent.weights.h5", {}, "these weights: .* absent.weights.h5$"),
        ("EfficientNetB0:x.weights.h5", {}, "EfficientNetV2 can. Received: x.weights"),
    ],
)
def test_what_cannot_be_built_is_refused(name, options, message):
    with pytest.raises(ValueError, match=message):
        create_application(name, **{"image_size": 32, **options})


def test_arguments_of_other_families_are_refused():
    message = "VGG16 should be of: channels, image_size. Received: drop_path=0.1"
    with pytest.raises(ValueError, match=message):
        create_backbone("keras_applications:VGG16", drop_path=0.1)
