"""Scores without the shares of classes: what is tested, and what is served."""

import json

import numpy as np
import pytest
import tensorflow as tf

from semivit_tf.backbones.vit import ViT
from semivit_tf.cli import main
from semivit_tf.methods.classifier import Classifier
from semivit_tf.stages.logit_adjustment import log_shares
from semivit_tf.training.weight_files import save_weights

SIZES = {"patch_size": 4, "width": 8, "depth": 1, "heads": 2}


def test_shares_are_of_classes_that_have_an_image():
    expected = np.log([0.6, 0.3, 0.1])
    np.testing.assert_allclose(log_shares(np.array([6, 3, 1])), expected, rtol=1e-6)
    found = log_shares(np.array([4, 0]))
    np.testing.assert_allclose(found, np.log([0.8, 0.2]), rtol=1e-6)


@pytest.mark.parametrize("strength", [0.0, 0.5])
def test_shares_are_taken_out_of_what_is_tested_and_served(tmp_path, strength):
    generator, labels = np.random.default_rng(0), np.repeat([0, 1, 2], [12, 6, 2])
    images = generator.integers(0, 256, (20, 8, 8, 1), "uint8")
    data = {"x_train": images, "y_train": labels}
    np.savez(tmp_path / "data.npz", **data, x_test=255 - images, y_test=labels)
    model = Classifier(ViT(8, channels=1, **SIZES, name="vit"), 3)
    model.head.kernel.assign(generator.normal(size=(8, 3)))
    save_weights(model, tmp_path / "file.safetensors")
    flags = [f"--{name}={value}" for name, value in SIZES.items()]
    flags += [f"--data_dir={tmp_path / 'data.npz'}", "--backbone=vit"]
    flags += [f"--init_from={tmp_path / 'file.safetensors'}"]
    flags += [f"--workdir={tmp_path / 'run'}", "--stages=evaluate,export"]
    assert main(["main.py", *flags, f"--logit_adjustment={strength}"]) == 0

    logits = np.asarray(model(255 - images), "float64")
    logits = logits - strength * np.log([0.6, 0.3, 0.1])
    expected = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
    served = tf.saved_model.load(str(tmp_path / "run" / "export" / "1"))
    served = served.signatures["serving_default"]
    (name,) = served.structured_input_signature[1]
    found = served(**{name: tf.constant(255 - images, tf.float32)})["probabilities"]
    np.testing.assert_allclose(found, expected, rtol=1e-3, atol=1e-5)
    content = json.loads((tmp_path / "run" / "evaluation.json").read_text())
    accuracy = np.mean(expected.argmax(axis=1) == labels)
    assert content["results"][0]["accuracy"] == pytest.approx(accuracy)
