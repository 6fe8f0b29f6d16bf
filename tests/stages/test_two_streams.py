"""A network of two streams through the stages, from flags alone."""

import json

import numpy as np
import pytest
import tensorflow as tf

from semivit_tf.data.dataset import load_dataset
from semivit_tf.methods.two_stream_classifier import TwoStreamClassifier
from semivit_tf.training.weight_files import load_weights
from tests.methods.small import small_semiformer
from tests.stages.runs import error, run

FLAGS = [
    "--backbone=semiformer",
    "--patch_size=4",
    "--width=8",
    "--heads=2",
    "--depths=1,1",
    "--widths=8,16",
    "--stem_width=4",
    "--stem_stride=2",
    "--depth=",
    "--stages=finetune,semi_finetune,evaluate,export",
    "--validation_per_class=2",
    "--finetune_base_learning_rate=0.05",
    "--semi_method=semiformer",
    "--semi_labeler=mean_probability",
    "--semi_convolutional_weight=0.5",
]


@pytest.fixture(scope="module")
def finished(tmp_path_factory):
    folder = tmp_path_factory.mktemp("runs") / "run"
    assert run(*FLAGS, f"--workdir={folder}") == 0
    return folder


def last_line(folder, stage):
    lines = (folder / stage / "metrics.jsonl").read_text().splitlines()
    return json.loads(lines[-1])


def test_validation_tells_each_stream_of_each_network(finished):
    streams = {f"{name}_accuracy" for name in ("convolutional", "transformer")}
    found = last_line(finished, "finetune")
    assert {f"val_{name}" for name in streams} <= set(found)
    found = last_line(finished, "semi_finetune")
    for who in ("student", "teacher"):
        assert {f"val_{who}_{name}" for name in streams} <= set(found)
    best = json.loads((finished / "semi_finetune/DONE").read_text())["best"]
    assert best["metric"] == "val_student_accuracy"


def test_streams_and_their_sum_are_evaluated_and_the_sum_is_exported(finished):
    network = TwoStreamClassifier(small_semiformer(width=8, stem_width=4), 10)
    load_weights(network, finished / "semi_finetune/weights/best/student.safetensors")
    images, labels = zip(*load_dataset("digits").test().unbatch(), strict=True)
    images, labels = np.stack(images), np.asarray(labels)
    scores = network.scores(images).numpy()
    right = (scores.argmax(-1) == labels[:, None]).mean(0)
    content = json.loads((finished / "evaluation.json").read_text())
    (row,) = [row for row in content["results"] if row.get("exported")]
    assert (row["weights"], row["checkpoint"]) == ("student", "best")
    expected = dict(zip(["convolutional", "transformer"], right, strict=True))
    assert row["streams"] == pytest.approx(expected)
    accuracy = (scores.sum(1).argmax(1) == labels).mean()
    assert row["accuracy"] == pytest.approx(accuracy)
    served = tf.saved_model.load(str(finished / "export/1"))
    answers = served.signatures["serving_default"](tf.constant(images, tf.float32))
    probabilities = tf.nn.softmax(scores.sum(1))
    np.testing.assert_allclose(answers["probabilities"], probabilities, atol=1e-5)
    assert "student_against_finetune" in content


def test_what_is_done_is_not_done_again_and_what_is_lost_is(finished, capsys):
    """A stage whose end is lost goes on from its last checkpoint."""
    before = (finished / "semi_finetune/weights/student.safetensors").read_bytes()
    (finished / "semi_finetune/DONE").unlink()
    assert run(*FLAGS, f"--workdir={finished}") == 0
    text = capsys.readouterr().out
    assert "finetune: done before" in text and "convolutional" in text
    after = (finished / "semi_finetune/weights/student.safetensors").read_bytes()
    assert after == before


def test_a_plan_knows_the_memory_of_two_streams(tmp_path, capsys):
    assert run(*FLAGS, "--plan", f"--workdir={tmp_path / 'run'}") == 0
    text = capsys.readouterr().out
    assert "unknown" not in text and text.count(" GB") == 2


def test_semiformer_needs_two_streams(tmp_path, capsys):
    flags = ["--semi_method=semiformer", "--stages=semi_finetune"]
    flags.append("--semi_from_scratch")
    found = error(capsys, *flags, f"--workdir={tmp_path / 'run'}")
    assert found.endswith("such as semiformer_small. Received: ViT")
