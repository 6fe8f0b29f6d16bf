"""Evaluation and export follow the bytes of the weights they were made from."""

import json
import shutil

import numpy as np
import pytest
import tensorflow as tf

from semivit_tf.checksum import digest_of
from semivit_tf.training.weight_files import read_arrays, write_arrays
from tests.stages.runs import error, run

STAGES = "--stages=finetune,evaluate,export"


@pytest.fixture(scope="module")
def finished_once(finetuned_once, tmp_path_factory):
    folder = tmp_path_factory.mktemp("runs") / "exported"
    shutil.copytree(finetuned_once, folder)
    assert run(f"--workdir={folder}", STAGES) == 0
    return folder


@pytest.fixture
def finished(finished_once, tmp_path):
    return shutil.copytree(finished_once, tmp_path, dirs_exist_ok=True)


def times(folder):
    names = ("evaluation.json", "export.json", "export/1/saved_model.pb")
    return [(folder / name).stat().st_mtime_ns for name in names]


def answer(folder, images):
    served = tf.saved_model.load(str(folder / "export" / "1"))
    return served.signatures["serving_default"](images=images)["probabilities"].numpy()


def test_they_stay_while_the_weights_do(finished):
    before = times(finished)
    assert run(f"--workdir={finished}", STAGES) == 0
    assert times(finished) == before
    (row,) = json.loads((finished / "evaluation.json").read_text())["results"]
    weights = finished / "finetune" / "weights" / "student.safetensors"
    assert row["weights_sha256"] == digest_of(weights)


def test_other_bytes_beneath_are_tested_and_exported_again(finished, capsys):
    images = tf.random.uniform((4, 8, 8, 1), 0, 255, seed=1)
    before = answer(finished, images)
    file = finished / "finetune" / "weights" / "student.safetensors"
    arrays, _ = read_arrays(file)
    write_arrays(file, {**arrays, "head/bias": np.eye(10, dtype="float32")[3] * 99})
    capsys.readouterr()
    assert run(f"--workdir={finished}", STAGES) == 0
    said = capsys.readouterr().out
    assert "finetune student changed since it was exported: exported again" in said
    (row,) = json.loads((finished / "evaluation.json").read_text())["results"]
    predicted = np.sum(row["confusion"], axis=0)
    assert np.flatnonzero(predicted).tolist() == [3]
    after = answer(finished, images)
    assert after.argmax(axis=1).tolist() == [3] * 4
    assert np.abs(after - before).max() > 0.5


def test_half_a_saved_model_is_not_taken_as_exported(finished, capsys):
    file = finished / "export" / "1" / "saved_model.pb"
    file.write_bytes(file.read_bytes()[: file.stat().st_size // 2])
    capsys.readouterr()
    assert run(f"--workdir={finished}", STAGES) == 0
    assert "its files changed since it was exported" in capsys.readouterr().out
    images = tf.zeros((2, 8, 8, 1))
    assert answer(finished, images).shape == (2, 10)


@pytest.mark.parametrize("content", [b"", b"[]", b'{"1": 5}', b"\xff{"])
def test_damaged_results_are_named(content, finished, capsys):
    """The evaluation is measured again; what guards exported versions is refused."""
    whole = (finished / "evaluation.json").read_bytes()
    (finished / "evaluation.json").write_bytes(content)
    capsys.readouterr()
    assert run(f"--workdir={finished}", STAGES) == 0
    assert "evaluation.json is not as it was written: measured again" in (
        capsys.readouterr().out
    )
    assert (finished / "evaluation.json").read_bytes() == whole
    (finished / "export.json").write_bytes(content)
    line = error(capsys, f"--workdir={finished}", STAGES)
    assert "export.json is not as it was written: without it, --export_ver" in line
    (finished / "export.json").unlink()
    (finished / "finetune" / "DONE").write_bytes(content)
    line = error(capsys, f"--workdir={finished}", STAGES)
    assert "DONE is not as it was written: without it, the stage is finished" in line


def test_random_states_in_a_saved_model_do_not_depend_on_what_ran_before(
    finished_once, tmp_path
):
    """Mixing draws from a state, which is kept with the weights."""
    assert run(f"--workdir={tmp_path}", "--stages=finetune,export") == 0
    states = []
    for folder in (tmp_path, finished_once):  # in one go, and by two commands
        variables = folder / "export" / "1" / "variables" / "variables"
        reader = tf.train.load_checkpoint(str(variables))
        kinds = reader.get_variable_to_dtype_map()
        seeds = sorted(name for name, kind in kinds.items() if kind.is_integer)
        states.append([reader.get_tensor(name).tolist() for name in seeds])
    assert states[0] == states[1] and states[0]
