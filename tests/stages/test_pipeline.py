"""Pipelines of one's own, and where a stage starts."""

import dataclasses
import json

import numpy as np
import pytest

from semivit_tf.cli import parse
from semivit_tf.config.settings import InputError
from semivit_tf.data.dataset import load_dataset
from semivit_tf.stages import preflight
from semivit_tf.stages.evaluate import Evaluate
from semivit_tf.stages.export import Export
from semivit_tf.stages.finetune import Finetune
from semivit_tf.stages.pipeline import run_pipeline
from semivit_tf.stages.stage import Stage
from semivit_tf.training.weight_files import read_arrays
from tests.stages.runs import TINY, error, run, served_by

# What is trained stays as it started.
STILL = [
    f"--finetune_{name}=0"
    for name in ("base_learning_rate", "minimum_learning_rate", "weight_decay")
]


def more_labels(run):
    """Data that need what an earlier stage made."""
    assert run.folder.stage("teach").done
    return load_dataset("digits", labels_per_class=4, augmentation="none")


TWICE = (
    Stage("teach", Finetune(), "finetune"),
    Stage("reteach", Finetune(), "finetune", ("teach",), ("teach",), more_labels),
    Stage("afresh", Finetune(), "finetune", needs=("reteach",)),
    Stage("evaluate", Evaluate(), starts_from=("teach", "reteach")),
    Stage("serve", Export(), starts_from=("teach", "reteach")),
)


def config_of(folder, *flags):
    return parse(["main.py", *TINY, *STILL, f"--workdir={folder}", *flags])


@pytest.fixture(scope="module")
def twice(tmp_path_factory):
    folder = tmp_path_factory.mktemp("runs") / "twice"
    run_pipeline(config_of(folder), ["test"], pipeline=TWICE)
    return folder


def student(folder):
    return read_arrays(folder / "weights" / "student.safetensors")[0]


def test_a_kind_occurs_twice_with_data_of_its_own(twice):
    started = {}
    steps = {}
    for name in ("teach", "reteach", "afresh"):
        started[name] = json.loads((twice / name / "DONE").read_text())["started_from"]
        lines = (twice / name / "metrics.jsonl").read_text().splitlines()
        steps[name] = json.loads(lines[-1])["step"]
    assert started == {"teach": "scratch", "reteach": "teach", "afresh": "scratch"}
    # 3 epochs of 20 labelled images, or of 40, in batches of 20.
    assert steps == {"teach": 3, "reteach": 6, "afresh": 3}


def test_a_stage_starts_from_the_weights_of_the_one_it_names(twice):
    first, second, third = (student(twice / stage.name) for stage in TWICE[:3])
    assert first.keys() == second.keys() == third.keys() and len(first) > 12
    for name, array in first.items():
        np.testing.assert_array_equal(second[name], array)
    kernel = "vit/block0/attention/qkv/kernel"
    assert np.abs(third[kernel] - first[kernel]).max() > 1e-2


def test_evaluation_and_export_follow_the_pipeline(twice):
    results = json.loads((twice / "evaluation.json").read_text())["results"]
    found = [(row["stage"], row["weights"]) for row in results]
    assert found == [("teach", "student"), ("reteach", "student")]
    assert results[0]["accuracy"] == results[1]["accuracy"]
    assert served_by(twice / "serve.json") == ["reteach", "student"]
    assert (twice / "serve" / "1" / "saved_model.pb").exists()


def test_a_pipeline_skips_what_is_finished(twice):
    said = []
    before = {p: p.stat().st_mtime_ns for p in twice.rglob("*") if p.is_file()}
    run_pipeline(config_of(twice), ["test"], said.append, TWICE)
    assert [text for text in said if "done before" in text] == [
        f"{stage.name}: done before" for stage in TWICE[:3]
    ]
    after = {p: p.stat().st_mtime_ns for p in twice.rglob("*") if p.is_file()}
    assert before == after


def test_what_a_stage_needs_has_to_be_there(tmp_path):
    config = config_of(tmp_path / "run")
    with pytest.raises(InputError, match="--stages=reteach needs the stage teach, "):
        preflight.prepare(config, TWICE, [TWICE[1]])
    needing = [dataclasses.replace(TWICE[1], starts_from=())]
    with pytest.raises(InputError, match="--stages=reteach needs the stage teach, "):
        preflight.prepare(config, [TWICE[0], *needing], needing)


def test_stage_three_from_a_file_is_evaluated_against_it(finetuned, tmp_path, capsys):
    first, second = finetuned, tmp_path / "second"
    assert run(f"--workdir={first}", "--stages=evaluate") == 0
    file = first / "finetune" / "weights" / "student.safetensors"
    flags = [f"--workdir={second}", f"--init_from={file}"]
    assert run(*flags, "--stages=semi_finetune,evaluate,export") == 0
    content = json.loads((second / "evaluation.json").read_text())
    assert [(row["stage"], row["weights"]) for row in content["results"]] == [
        ("init_from", "student.safetensors"),
        ("semi_finetune", "student"),
        ("semi_finetune", "teacher"),
    ]
    assert [row["labels_used"] for row in content["results"]] == [None, 20, 20]
    (alone,) = json.loads((first / "evaluation.json").read_text())["results"]
    start, _, teacher = content["results"]
    assert start["accuracy"] == pytest.approx(alone["accuracy"], abs=1e-12)
    change = teacher["accuracy"] - start["accuracy"]
    compared = content["teacher_against_init_from"]
    assert compared["accuracy_change"] == pytest.approx(change, abs=1e-12)
    assert served_by(second / "export.json") == ["semi_finetune", "teacher"]
    # Without the file there is nothing to compare with, and the rest is tested.
    file.unlink()
    capsys.readouterr()
    assert run(*flags, "--stages=evaluate") == 0
    assert "No comparison: init_from is not there any more." in capsys.readouterr().out
    content = json.loads((second / "evaluation.json").read_text())
    assert len(content["results"]) == 2
    assert content["teacher_against_init_from"] is None


def test_stage_three_does_not_start_from_the_file_of_pre_training(
    pretrained, tmp_path, capsys
):
    """The encoder of `--init_from` went into stage 1; it is no classifier."""
    capsys.readouterr()
    encoder = pretrained / "pretrain" / "weights" / "encoder.safetensors"
    flags = [f"--workdir={tmp_path / 'next'}", f"--init_from={encoder}"]
    line = error(capsys, *flags, "--stages=pretrain,semi_finetune")
    assert "--stages=semi_finetune needs the stage finetune, asked for or" in line
