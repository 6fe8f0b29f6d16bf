"""The best weights on validation images: kept, chosen, evaluated and exported."""

import json
import shutil

import numpy as np
import pytest
import tensorflow as tf

from semivit_tf.data.dataset import load_dataset
from semivit_tf.methods.classifier import Classifier
from semivit_tf.training.checkpoints import Checkpoints
from semivit_tf.training.weight_files import load_weights, read_arrays
from tests.methods.small import small_vit
from tests.stages.runs import error, run, served_by

# High rates: after its first epochs a stage gets worse.
FLAGS = [
    "--validation_per_class=2",
    "--finetune_epochs=6",
    "--finetune_base_learning_rate=0.02",
    "--finetune_ema_momentum=0.5",
    "--semi_epochs=3",
    "--semi_base_learning_rate=0.01",
    "--semi_ema_momentum=0.9",
]
STAGES = "--stages=finetune,semi_finetune,evaluate,export"
TRAINED = ("finetune", "semi_finetune")


@pytest.fixture(scope="module")
def finished(tmp_path_factory):
    folder = tmp_path_factory.mktemp("runs") / "auto"
    assert run(*FLAGS, STAGES, f"--workdir={folder}") == 0
    return folder


@pytest.fixture(scope="module")
def with_last(tmp_path_factory):
    """And a teacher that keeps all it has: it says where it started."""
    folder = tmp_path_factory.mktemp("runs") / "last"
    flags = [*FLAGS[:-1], "--semi_ema_momentum=1", "--checkpoint=last"]
    assert run(*flags, STAGES, f"--workdir={folder}") == 0
    return folder


def rows(folder):
    return json.loads((folder / "evaluation.json").read_text())["results"]


def kept(folder, stage, network, *best):
    return folder / stage / "weights" / "/".join([*best, f"{network}.safetensors"])


def same(first, second):
    """Whether two files hold the same weights."""
    one, two = read_arrays(first)[0], read_arrays(second)[0]
    assert one.keys() == two.keys() and len(one) > 12
    return all(np.array_equal(one[name], two[name]) for name in one)


def answers(file, images):
    network = Classifier(small_vit(width=8, depth=1, heads=2), 10)
    load_weights(network, file)
    return tf.nn.softmax(network(images)).numpy()


def test_the_best_epoch_is_the_first_of_the_highest(finished):
    for stage in TRAINED:
        lines = (finished / stage / "metrics.jsonl").read_text().splitlines()
        values = [json.loads(line)["val_teacher_accuracy"] for line in lines]
        best = json.loads((finished / stage / "DONE").read_text())["best"]
        assert best["metric"] == "val_teacher_accuracy"
        assert best["value"] == max(values)
        assert best["epoch"] == 1 + values.index(max(values)) < len(values)
        for network in ("student", "teacher"):
            last = kept(finished, stage, network)
            assert not same(kept(finished, stage, network, "best"), last)


def test_both_are_evaluated_and_the_best_is_exported(finished):
    found = rows(finished)
    names = ("stage", "weights", "checkpoint")
    assert [tuple(row[name] for name in names) for row in found] == [
        (stage, network, checkpoint)
        for stage in TRAINED
        for network in ("student", "teacher")
        for checkpoint in ("last", "best")
    ]
    for row in found:
        done = json.loads((finished / row["stage"] / "DONE").read_text())
        best = row["checkpoint"] == "best"
        assert row["epoch"] == (done["best"]["epoch"] if best else done["epochs"])
        assert row["handed_on"] == best
    assert [row["exported"] for row in found] == [False] * 7 + [True]
    served = served_by(finished / "export.json")
    assert served == ["semi_finetune", "teacher", "best"]


def test_the_comparison_is_of_what_is_handed_on(finished):
    content = json.loads((finished / "evaluation.json").read_text())
    accuracy = [row["accuracy"] for row in content["results"]]
    change = content["teacher_against_finetune"]["accuracy_change"]
    assert change == pytest.approx(accuracy[7] - accuracy[1], abs=1e-12)


def test_what_is_served_answers_as_the_best(finished):
    images, _ = next(iter(load_dataset("digits", labels_per_class=2).test()))
    served = tf.saved_model.load(str(finished / "export" / "1"))
    found = served.signatures["serving_default"](images=images)["probabilities"]
    best = kept(finished, "semi_finetune", "teacher", "best")
    np.testing.assert_allclose(found, answers(best, images), atol=1e-6)
    last = kept(finished, "semi_finetune", "teacher")
    assert np.abs(found - answers(last, images)).max() > 1e-3


def test_the_next_stage_starts_from_what_is_handed_on(finished, with_last, tmp_path):
    """A teacher that keeps all it has says where it started."""
    flags = [*FLAGS[:-1], "--semi_ema_momentum=1", f"--workdir={tmp_path}"]
    assert run(*flags, "--stages=check") == 0
    shutil.copytree(finished / "finetune", tmp_path / "finetune")
    assert run(*flags, "--stages=semi_finetune") == 0
    for folder, source, best in (
        (tmp_path, finished, ["best"]),
        (with_last, with_last, []),
    ):
        teacher = kept(folder, "semi_finetune", "teacher")
        assert same(teacher, kept(source, "finetune", "teacher", *best))


def test_the_last_weights_do_not_depend_on_the_flag(finished, with_last):
    """Stage 2 is the same; from there on each goes on from its own."""
    for name in ("student", "teacher"):
        for best in ([], ["best"]):
            files = (kept(f, "finetune", name, *best) for f in (finished, with_last))
            assert same(*files)
    found = rows(with_last)
    assert [row["handed_on"] for row in found] == [True, False] * 4
    assert [row["exported"] for row in found] == [False] * 6 + [True, False]
    assert served_by(with_last / "export.json") == ["semi_finetune", "teacher"]


def test_other_weights_are_exported_without_testing_again(finished, capsys):
    before = rows(finished)
    flags = ["--stages=evaluate,export", "--export_weights=student"]
    folder = f"--workdir={finished}"
    line = error(capsys, *FLAGS, *flags, folder)
    assert "exists and holds semi_finetune teacher best; choose" in line
    assert run(*FLAGS, *flags, "--export_version=2", folder) == 0
    assert "To export: semi_finetune student, best of epoch" in capsys.readouterr().out
    after = rows(finished)
    assert [row.pop("exported") for row in after] == [False] * 5 + [True] + [False] * 2
    for row in before:
        del row["exported"]
    assert after == before
    assert run(*FLAGS, STAGES, folder) == 0  # as it was, for the other tests


def test_without_validation_images_there_are_only_the_last(tmp_path, capsys):
    folder = tmp_path / "run"
    flags = [f"--workdir={folder}", "--stages=finetune,evaluate,export"]
    line = error(capsys, *flags, "--checkpoint=best")
    assert "--checkpoint=best needs validation images" in line
    assert not folder.exists()
    assert run(*flags) == 0
    output = capsys.readouterr().out
    assert "checkpoint" not in output and "best" not in output
    assert not (folder / "finetune" / "weights" / "best").exists()
    (row,) = rows(folder)
    assert (row["checkpoint"], row["epoch"], row["exported"]) == ("last", 3, True)
    assert served_by(folder / "export.json") == ["finetune", "student"]


def test_a_run_stopped_while_it_keeps_its_weights_ends_with_the_same(
    finished, tmp_path, monkeypatch
):
    flags = [*FLAGS, "--stages=finetune", f"--workdir={tmp_path}"]

    def stop(self, model, name):
        raise KeyboardInterrupt

    with monkeypatch.context() as patched:
        patched.setattr(Checkpoints, "load_best", stop)
        assert run(*flags) == 130
    assert not (tmp_path / "finetune" / "DONE").exists()
    assert run(*flags) == 0
    for name in ("student", "teacher"):
        for best in ([], ["best"]):
            files = (kept(f, "finetune", name, *best) for f in (tmp_path, finished))
            assert same(*files)
