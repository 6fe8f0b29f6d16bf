"""Logistic regression on frozen features, as scikit-learn would do it."""

import json

import numpy as np
import pytest
import tensorflow as tf
from sklearn.linear_model import LogisticRegression

from semivit_tf.data.digits import load_digits
from semivit_tf.methods.classifier import Classifier
from semivit_tf.stages.logistic import classify
from semivit_tf.training.weight_files import read_arrays
from tests.methods.small import small_vit
from tests.stages.runs import error, run


@pytest.mark.parametrize("pooling", ["class_token", "mean"])
def test_the_head_is_that_of_centred_features_of_unit_length(pooling):
    """An oracle on what goes into the last norm, which may scale and shift."""
    backbone = small_vit(pooling=pooling)
    classifier = Classifier(backbone, 10)
    generator = np.random.default_rng(0)
    norm = backbone.norm
    norm.gamma.assign(generator.uniform(0.5, 2.0, norm.gamma.shape))
    norm.beta.assign(generator.normal(size=norm.beta.shape))
    train = load_digits().train
    images, labels = train.images[:50].astype("float32"), train.labels[:50]
    classify(classifier, [(images[:30], labels[:30]), (images[30:], labels[30:])])
    plain = (np.asarray(backbone(images)) - norm.beta) / norm.gamma  # LN without them
    plain = np.asarray(plain, "float64")
    plain -= plain.mean(axis=1, keepdims=True)
    plain /= np.linalg.norm(plain, axis=1, keepdims=True)
    theirs = LogisticRegression(C=400, fit_intercept=False, tol=1e-8, max_iter=20000)
    expected = theirs.fit(plain, labels).predict_proba(plain)
    found = tf.nn.softmax(classifier(images)).numpy()
    np.testing.assert_allclose(found, expected, atol=0.01)
    assert expected.max() > 0.3 and np.ptp(expected, axis=0).min() > 0.05


def test_it_labels_and_learns_again_from_generated_images(tmp_path, capsys):
    stages = "pretrain,logistic,pseudo_label,generator,generate,retrain_logistic"
    flags = ["--pipeline=dpt", f"--stages={stages},evaluate", "--pretrain_epochs=1"]
    flags += ["--generator_epochs=1", "--generator_width=8", "--generator_depth=2"]
    flags += ["--generator_heads=2", "--generator_warmup_epochs=0"]
    flags += ["--generator_batch_size=128", "--generate_images_per_class=2"]
    flags += ["--generate_steps=1", f"--workdir={tmp_path / 'run'}"]
    flags += ["--pretrain_batch_size=256", "--generate_folders"]
    assert run(*flags) == 0
    said = capsys.readouterr().out
    assert "logistic: 20 images" in said and "retrain_logistic: 40 images" in said
    rows = json.loads((tmp_path / "run" / "evaluation.json").read_text())["results"]
    assert [row["stage"] for row in rows] == ["logistic", "retrain_logistic"]
    # The encoder stays as it was; its last norm is new, and so has no offset.
    one, other = (
        read_arrays(tmp_path / "run" / name / "weights" / "student.safetensors")[0]
        for name in ("logistic", "retrain_logistic")
    )
    differing = {name for name in one if not np.array_equal(one[name], other[name])}
    assert differing == {"head/kernel"}
    folders = tmp_path / "run" / "generate" / "folders"
    assert sorted(path.name for path in folders.iterdir()) == list("0123456789")
    assert len(list(folders.glob("*/*.png"))) == 20


def test_what_has_no_features_is_refused(tmp_path, capsys):
    flags = ["--pipeline=dpt", "--stages=logistic", f"--workdir={tmp_path / 'run'}"]
    assert "needs features: the stage pretrain, or --init" in error(capsys, *flags)
    flags += ["--backbone=convnext_tiny", "--patch_size=", "--width=", "--depth="]
    flags += ["--heads=", "--image_size=32"]
    assert "--stages=logistic needs a ViT" in error(capsys, *flags)
