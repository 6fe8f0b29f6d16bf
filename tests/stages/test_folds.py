"""Cross-validation: each labelled image tests a network that has not learned it."""

import csv
import json
import shutil

import numpy as np
import pytest
from safetensors.numpy import load_file

from semivit_tf.data.digits import load_digits
from semivit_tf.data.folds import fold_numbers
from semivit_tf.data.label_splits import LabelSplit
from semivit_tf.stages.folds import folds_of, summed_up
from semivit_tf.stages.stage_table import PIPELINES
from tests.report.html import Page, check_readable
from tests.stages.runs import error, prepared, run

STAGES = "--stages=pretrain,probe,finetune,evaluate"


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """A run with two folds of 20 labelled digits."""
    folder = tmp_path_factory.mktemp("runs") / "folds"
    assert run(f"--workdir={folder}", STAGES, "--folds=2") == 0
    return folder


def test_each_fold_is_tested_by_a_network_of_its_own(folder):
    found = json.loads((folder / "finetune_folds.json").read_text())
    assert (found["folds"], found["images"]) == (2, 20)
    assert np.mean(found["accuracy_of_folds"]) == pytest.approx(found["accuracy"])
    low, high = found["accuracy_interval"]
    assert low < found["accuracy"] < high
    weights = [
        load_file(folder / name / "weights" / "student.safetensors")
        for name in ("finetune_fold1of2", "finetune_fold2of2", "finetune")
    ]
    heads = [next(a for name, a in w.items() if "head" in name) for w in weights]
    assert np.abs(heads[0] - heads[1]).max() > 1e-4
    # What is evaluated is the network that has learned all.
    (row,) = json.loads((folder / "evaluation.json").read_text())["results"]
    assert (row["stage"], row["labels_used"]) == ("finetune", 20)


def test_the_probe_is_cross_validated_too(folder, capsys):
    found = json.loads((folder / "probe.json").read_text())
    assert found["part"] == "test" and found["labels_used"] == 20
    assert found["cross_validation"]["images"] == 20
    assert found["cross_validation"]["folds"] == 2


def test_folds_change_nothing_of_the_stage_itself(folder, tmp_path):
    assert run(f"--workdir={tmp_path}", "--stages=check") == 0
    shutil.copytree(folder / "pretrain", tmp_path / "pretrain")
    assert run(f"--workdir={tmp_path}", "--stages=finetune") == 0
    with_folds, without = (
        load_file(path / "finetune" / "weights" / "student.safetensors")
        for path in (folder, tmp_path)
    )
    for name, values in without.items():
        np.testing.assert_allclose(with_folds[name], values, atol=1e-5, err_msg=name)


def test_a_fold_learns_the_labels_of_the_others(tmp_path, monkeypatch):
    made = prepared(tmp_path, stages="finetune", folds=4, labels_per_class=2)
    *folds, summary, whole = made.wanted
    assert [stage.name for stage in folds] == [
        f"finetune_fold{number}of4" for number in (1, 2, 3, 4)
    ]
    assert summary.needs == tuple(stage.name for stage in folds)
    assert whole in PIPELINES["semi_vit"]
    learned = []
    monkeypatch.setattr(
        "semivit_tf.stages.training.TrainingKind.carry_out",
        lambda self, run, stage: learned.append(run.data.split.labeled),
    )
    for stage in folds:
        stage.kind.carry_out(made, stage)
    labeled, numbers = made.data.split.labeled, folds_of(made)
    for number, indices in enumerate(learned):
        np.testing.assert_array_equal(indices, labeled[numbers != number])
    labels = made.data.parts.train.labels[labeled]
    np.testing.assert_array_equal(numbers, fold_numbers(labels, 4, seed=0))


def test_folds_are_summed_up_by_images():
    """2 of 3 and 1 of 1: 3 of 4."""
    found = summed_up([np.array([True, True, False]), np.array([True])])
    assert found["accuracy"] == 0.75
    assert found["accuracy_of_folds"] == [pytest.approx(2 / 3), 1.0]


def test_folds_that_cannot_be_had_are_refused(tmp_path, capsys):
    flags = [f"--workdir={tmp_path / 'run'}", "--stages=finetune"]
    assert "from 2 to the 20 labelled images" in error(capsys, *flags, "--folds=21")
    line = error(capsys, *flags[:1], "--stages=pretrain", "--folds=2")
    assert "--folds=2 is used by none of the stages asked for" in line


# === Labels that may be wrong ===


def suspects_of(folder):
    with open(folder / "suspects.csv", encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


@pytest.mark.parametrize(
    ("flags", "who"),
    [(["--folds=2"], "2 networks"), ([], "probes of pretrain mae")],
)
def test_labels_are_judged_by_what_has_not_learned_them(
    folder, tmp_path, capsys, flags, who
):
    copied = shutil.copytree(folder, tmp_path / "run")
    assert run(f"--workdir={copied}", "--stages=suspects", *flags) == 0
    rows, source = suspects_of(copied), load_digits().train
    assert f"{len(rows)} of 20 labels may be wrong" in capsys.readouterr().out
    with open(copied / "split.csv") as file:
        labeled = LabelSplit.read_csv(file).labeled
    for row in rows:
        index = int(row["path"].removeprefix("image "))
        assert index in labeled
        assert row["label"] == source.class_names[source.labels[index]]
        assert row["answer"] != row["label"]
    page = Page((copied / "suspects.html").read_text(encoding="utf-8"))
    check_readable(page, scripts=0)
    assert len(page.all("img")) == len(rows)
    assert any(f"Judged by {who}" in one["text"] for one in page.all("p"))


def test_what_is_contradicted_is_listed_with_the_answer(folder, tmp_path, monkeypatch):
    """Probes agree with all labels but one; and the same command again."""
    copied = shutil.copytree(folder, tmp_path / "run")
    # With one of two folds, the networks have not judged all labels.
    shutil.rmtree(copied / "finetune_fold2of2")

    def scores(features, labels, folds, num_classes, penalty):
        assert len(np.unique(folds)) == 2 and features.shape == (20, 8)
        found = 9.0 * np.eye(num_classes)[labels]
        found[3] = np.roll(found[3], 1)
        return found

    monkeypatch.setattr("semivit_tf.stages.suspects.held_out_scores", scores)
    command = (f"--workdir={copied}", "--stages=suspects", "--folds=2")
    assert run(*command) == 0
    (row,) = suspects_of(copied)
    assert (int(row["answer"]) - int(row["label"])) % 10 == 1
    assert float(row["probability"]) == pytest.approx(
        np.exp(9) / (np.exp(9) + 9), abs=1e-6
    )
    monkeypatch.setattr("semivit_tf.stages.suspects.held_out_scores", None)
    assert run(*command) == 0  # done before


def test_labels_that_nothing_can_judge_are_refused(tmp_path, capsys):
    flags = [f"--workdir={tmp_path / 'run'}", "--stages=suspects"]
    assert "needs what has not learned the labels" in error(capsys, *flags)
    line = error(capsys, *flags, "--labels_per_class=1")
    assert "two classes of two labelled images or more. Received: 0" in line
