"""Curves that a continued run does not contain twice."""

import json
import types

import tensorflow as tf

from semivit_tf.training.metrics_log import MetricsLog


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
