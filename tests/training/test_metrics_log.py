"""Curves that a continued run does not contain twice."""

import json
import os
import types

import pytest
import tensorflow as tf

from semivit_tf.training.metrics_log import MetricsLog
from semivit_tf.training.weight_files import CheckpointError


def log(folder, epochs, initial_epoch=0):
    with MetricsLog(folder, initial_epoch) as callback:
        callback.set_model(
            types.SimpleNamespace(
                optimizer=types.SimpleNamespace(iterations=tf.Variable(7))
            )
        )
        for epoch in epochs:
            callback.on_epoch_end(epoch, {"loss": epoch / 2})


def test_a_line_torn_by_a_kill_is_forgotten(tmp_path):
    log(tmp_path, range(0, 2))
    with (tmp_path / "metrics.jsonl").open("a") as file:
        file.write('{"epoch": 3, "lo')
    log(tmp_path, range(2, 3), initial_epoch=2)
    lines = (tmp_path / "metrics.jsonl").read_text().splitlines()
    assert [json.loads(line)["epoch"] for line in lines] == [1, 2, 3]


def test_lines_after_the_checkpoint_come_again_once(tmp_path):
    log(tmp_path, range(0, 5))
    log(tmp_path, range(3, 6), initial_epoch=3)
    lines = (tmp_path / "metrics.jsonl").read_text().splitlines()
    entries = [json.loads(line) for line in lines]
    assert [entry["epoch"] for entry in entries] == [1, 2, 3, 4, 5, 6]
    assert [entry["loss"] for entry in entries] == [0, 0.5, 1.0, 1.5, 2.0, 2.5]
    assert {entry["step"] for entry in entries} == {7}
    assert list((tmp_path / "tensorboard").glob("events*"))


def test_a_line_that_lacks_only_its_end_is_kept(tmp_path):
    path = tmp_path / "metrics.jsonl"
    for epochs in (1, 3):
        log(tmp_path, range(epochs))
        whole = path.read_bytes()
        path.write_bytes(whole[:-1])
        log(tmp_path, [], initial_epoch=epochs)
        assert path.read_bytes() == whole
        path.unlink()


DAMAGES = {
    "torn": lambda whole: whole[:-9],
    "empty": lambda whole: b"",
    "no UTF-8": lambda whole: b"\xff\xfe" + whole,
    "another type": lambda whole: whole.replace(b": 2,", b': "two",', 1),
    "another epoch": lambda whole: whole.replace(b": 1,", b": 9,", 1),
    "a gap": lambda whole: b"".join(whole.splitlines(keepends=True)[::2]),
    "deep": lambda whole: b"[" * 100_000 + whole,
    "no object": lambda whole: b"3\n" + whole,
}


@pytest.mark.parametrize("damage", DAMAGES)
def test_lines_before_a_checkpoint_are_not_dropped_without_a_word(damage, tmp_path):
    log(tmp_path, range(3))
    path = tmp_path / "metrics.jsonl"
    damaged = DAMAGES[damage](path.read_bytes())
    path.write_bytes(damaged)
    with pytest.raises(CheckpointError, match="line of JSON for each epoch.* 3") as no:
        log(tmp_path, [], initial_epoch=3)
    assert "\n" not in str(no.value)
    assert path.read_bytes() == damaged
    path.unlink()  # what the message offers
    log(tmp_path, [3], initial_epoch=3)
    log(tmp_path, [], initial_epoch=4)
    assert [json.loads(line)["epoch"] for line in path.open()] == [4]


def test_a_stage_that_starts_over_does_not_mind_the_lines(tmp_path):
    (tmp_path / "metrics.jsonl").write_bytes(b"\xff")
    log(tmp_path, range(1))
    assert [json.loads(line)["epoch"] for line in (tmp_path / "metrics.jsonl").open()]


def test_a_line_is_on_the_disk_when_the_epoch_ends(tmp_path, monkeypatch):
    synced = []
    monkeypatch.setattr(
        "semivit_tf.training.metrics_log.os.fsync",
        lambda number: synced.append(os.fstat(number).st_size),
    )
    log(tmp_path, range(2))
    path = tmp_path / "metrics.jsonl"
    first = len(path.read_bytes().splitlines(keepends=True)[0])
    assert synced == [first, path.stat().st_size]
