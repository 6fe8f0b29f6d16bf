"""Presets of KerasHub, from folders on the disk with random weights."""

import json
import sys

import keras
import numpy as np
import pytest
import tensorflow as tf

from semivit_tf.backbones import create_backbone
from semivit_tf.backbones.keras_hub import load_preset
from semivit_tf.methods.classifier import Classifier
from semivit_tf.methods.moving_teacher import twin
from semivit_tf.methods.semi_vit import SemiViT
from tests.methods.small import hub_preset, semi_batch

SCALE, OFFSET = [1 / 255 / 0.2, 1 / 255 / 0.3, 1 / 255 / 0.4], [-2.0, -1.0, -0.5]
IMAGES = np.random.default_rng(0).uniform(0, 255, (2, 8, 8, 3)).astype("float32")


@pytest.fixture
def preset(tmp_path):
    pytest.importorskip("keras_hub")
    return hub_preset(tmp_path / "preset", scale=SCALE, offset=OFFSET)


@pytest.mark.parametrize("pooling", ["mean", "class_token"])
def test_features_are_the_pooled_tokens_of_the_converted_images(preset, pooling):
    import keras_hub

    network = keras_hub.models.Backbone.from_preset(str(preset))
    tokens = np.asarray(network(IMAGES * np.array(SCALE) + np.array(OFFSET)))
    assert tokens.shape == (2, 1 + 4, 16)
    expected = tokens[:, 0] if pooling == "class_token" else tokens.mean(axis=1)
    backbone = create_backbone(f"keras_hub:{preset}", image_size=8, pooling=pooling)
    np.testing.assert_allclose(backbone(IMAGES), expected, rtol=1e-4, atol=1e-5)
    converter = keras_hub.layers.ImageConverter.from_preset(str(preset))
    np.testing.assert_allclose(
        backbone.scaling(IMAGES), converter(IMAGES), rtol=1e-5, atol=1e-5
    )


def test_without_scale_or_offset_pixels_stay(tmp_path):
    pytest.importorskip("keras_hub")
    backbone = load_preset(str(hub_preset(tmp_path / "plain")), 8)
    np.testing.assert_array_equal(backbone.scaling(IMAGES), IMAGES)


def test_a_twin_needs_no_preset(preset):
    student = Classifier(load_preset(str(preset), 8), 3, name="student")
    for file in preset.iterdir():
        file.unlink()
    student.head.kernel.assign(keras.random.normal((16, 3), seed=0))
    expected = np.asarray(student(IMAGES))
    assert np.ptp(expected) > 0.1
    np.testing.assert_allclose(twin(student, "teacher")(IMAGES), expected, rtol=1e-5)


def test_mixed_precision_reaches_the_network(preset):
    keras.config.set_dtype_policy("mixed_bfloat16")
    try:
        backbone = load_preset(str(preset), 8)
        features = twin(Classifier(backbone, 3), "teacher").backbone(IMAGES)
    finally:
        keras.config.set_dtype_policy("float32")
    assert features.dtype == tf.bfloat16
    assert {weight.dtype for weight in backbone.weights} == {"float32"}


def test_a_few_steps_of_semi_supervised_learning_reduce_the_loss(preset):
    options = {"mixup_alpha": 0.0, "cutmix_alpha": 0.0, "seed": 0}
    backbone = load_preset(str(preset), 8, channels=1)
    model = SemiViT(backbone, 3, threshold=0.0, **options)
    model.compile(keras.optimizers.AdamW(1e-2))
    data = tf.data.Dataset.from_tensors(semi_batch()).repeat(20)
    history = model.fit(data, epochs=2, verbose=0).history
    assert history["labeled_loss"][1] < 0.8 * history["labeled_loss"][0]


def test_presets_that_cannot_be_used_are_refused(preset, tmp_path):
    with pytest.raises(ValueError, match=r"should be \(8, 8\), which .* made for"):
        load_preset(str(preset), 16)
    with pytest.raises(ValueError, match="Unknown preset identifier"):
        load_preset(str(tmp_path / "absent"), 8)
    config = (preset / "config.json").read_text()
    for broken in ("{", json.dumps({**json.loads(config), "config": {}})):
        (preset / "config.json").write_text(broken)
        with pytest.raises(ValueError, match=f"The preset {preset} cannot be used"):
            load_preset(str(preset), 8)
    (preset / "config.json").write_text(config)
    (preset / "image_converter.json").unlink()
    with pytest.raises(ValueError, match="should have an image converter.*preset="):
        load_preset(str(preset), 8)


def test_a_missing_package_is_named_with_the_way_to_get_it(monkeypatch):
    monkeypatch.setitem(sys.modules, "keras_hub", None)
    with pytest.raises(ValueError, match=r'pip install "keras-hub>=0.32,<0.33"'):
        create_backbone("keras_hub:any")
