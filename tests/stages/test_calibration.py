"""What is evaluated as calibrated is what is served."""

import json

import numpy as np
import pytest
import tensorflow as tf

from semivit_tf.data.digits import load_digits
from semivit_tf.evaluation.abstention import measure_abstention
from semivit_tf.evaluation.calibration import calibrated_probabilities, reliability
from semivit_tf.evaluation.conformal_sets import measure_sets
from semivit_tf.stages import calibration
from tests.stages.runs import error, run

FLAGS = [
    "--stages=finetune,evaluate,export",
    "--labels_per_class=20",
    "--validation_per_class=30",
    "--validations=2",
    "--width=16",
    "--finetune_epochs=40",
    "--finetune_batch_size=100",
    "--finetune_base_learning_rate=0.02",
    "--finetune_layer_decay=1",
    "--finetune_drop_path=0",
    "--finetune_mixup_alpha=0",
    "--finetune_cutmix_alpha=0",
    "--abstain_precision=0.8",
    "--coverage=0.9",
]


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("runs") / "calibrated"
    assert run(f"--workdir={folder}", *FLAGS) == 0
    return folder


@pytest.fixture(scope="module")
def calibrated(folder):
    """The row of the weights that are exported."""
    content = json.loads((folder / "evaluation.json").read_text())
    (row,) = [row for row in content["results"] if row["exported"]]
    return row["calibration"]


@pytest.fixture(scope="module")
def served(folder):
    """Answers of the SavedModel to the test images, and their labels."""
    test = load_digits(None).test
    loaded = tf.saved_model.load(str(folder / "export" / "1"))
    answer = loaded.signatures["serving_uint8"](images=tf.constant(test.images))
    return {name: value.numpy() for name, value in answer.items()}, test.labels


def test_served_probabilities_are_those_that_were_evaluated(calibrated, served):
    answer, labels = served
    after = reliability(labels, answer["probabilities"])
    for name in ("ece", "brier"):
        assert calibrated["after"][name] == pytest.approx(after[name], abs=1e-5)
    assert calibrated["ece"] > 0.1
    assert calibrated["after"]["ece"] < calibrated["ece"] / 2
    assert calibrated["after"]["brier"] < calibrated["brier"]


def test_promises_are_measured_on_other_images(calibrated, served):
    answer, labels = served
    abstain, sets = calibrated["abstain"], calibrated["class_set"]
    assert abstain["threshold"] == calibrated["fitted"]["abstain"]["threshold"]
    expected = measure_abstention(labels, answer["probabilities"], abstain["threshold"])
    assert abstain["answered"] == expected["answered"] == np.sum(~answer["abstain"])
    assert 0 < abstain["answered"] < 359
    low, high = abstain["precision_interval"]
    assert low < abstain["precision"] < high and high > 0.8
    least = sets["least_probability"]
    expected = measure_sets(labels, answer["probabilities"], least)
    assert sets["coverage"] == pytest.approx(expected["coverage"])
    right = answer["class_set"][np.arange(359), labels]
    assert sets["coverage"] == pytest.approx(right.mean())
    assert 0.85 < sets["coverage"] < 0.95
    assert 1 < sets["mean_size"] < 3
    fitted = calibrated["fitted"]
    assert fitted["images"] == 300 and fitted["abstain"]["precision_at_least"] >= 0.8
    assert fitted["class_set"]["coverage"] == pytest.approx(0.9, abs=1 / 300)


def test_other_promises_are_exported_again(folder, calibrated, served, capsys):
    """The last test of this folder; what the others look at was read before."""
    flags = [flag for flag in FLAGS if "coverage" not in flag]
    assert run(f"--workdir={folder}", *flags) == 0
    assert "what is asked of its answers changed since" in capsys.readouterr().out
    fitted = json.loads((folder / "export.json").read_text())["1"]["fitted"]
    assert fitted["abstain"] == calibrated["fitted"]["abstain"]
    assert "class_set" not in fitted
    loaded = tf.saved_model.load(str(folder / "export" / "1"))
    outputs = loaded.signatures["serving_default"].structured_outputs
    assert "abstain" in outputs and "class_set" not in outputs
    (row,) = json.loads((folder / "evaluation.json").read_text())["results"][-1:]
    assert row["calibration"]["ece"] > 0 and "class_set" not in row["calibration"]


def test_promises_without_validation_images_are_refused(tmp_path, capsys):
    for flag in ("--coverage=0.9", "--abstain_precision=0.98"):
        line = error(capsys, f"--workdir={tmp_path / 'run'}", flag)
        assert f"{flag} needs validation images" in line
    assert not (tmp_path / "run").exists()


def test_one_line_says_that_nothing_was_calibrated():
    assert calibration.describe(None, ()) == (
        "No validation images: probabilities are served without calibration."
    )


def test_what_was_fitted_is_said():
    generator = np.random.default_rng(0)
    logits = generator.normal(0, 2, (500, 3))
    labels = (logits + generator.gumbel(size=logits.shape)).argmax(axis=1)
    found = calibration.fit(labels, 3 * logits[:, None], 0.999, 0.9)
    said = calibration.describe(found, ("a", "b", "c")).splitlines()
    common = found.temperatures[0]
    assert said[0].endswith(f"500 validation images: temperature {common:.2f}.")
    assert "abstains from all images. To show it takes 2995 validation" in said[1]
    assert found.served().abstain_below == 2.0
    assert "hold the right one for 90 % of images" in said[2]


def test_images_that_fitted_a_temperature_are_measured_by_halves():
    """Each half by the temperature of the other, drawn by 3 and by 1."""
    generator = np.random.default_rng(0)
    logits = generator.normal(0, 2, (4000, 3))
    labels = (logits + generator.gumbel(size=logits.shape)).argmax(axis=1)
    logits[::2] *= 3
    found = calibration.fit(labels, logits[:, None], None, 0.9)
    after = calibration.evaluated(found, labels, logits[:, None], apart=False)
    crossed = np.empty_like(logits)
    crossed[::2] = calibrated_probabilities(logits[::2], np.ones(3))
    crossed[1::2] = calibrated_probabilities(logits[1::2], np.full(3, 3.0))
    expected = reliability(labels, crossed)["ece"]
    assert after["after"]["ece"] == pytest.approx(expected, abs=0.02)
    assert "class_set" not in after and "class_set" in after["fitted"]
