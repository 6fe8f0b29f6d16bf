"""A plan says what is to come, and leaves nothing behind."""

import re
import subprocess
import sys

import tensorflow as tf

from semivit_tf.stages import plan
from semivit_tf.training.weight_files import read_arrays, write_arrays
from tests.stages.runs import ROOT, TINY, run


def test_a_plan_counts_what_is_to_come(tmp_path, capsys):
    folder = tmp_path / "run"
    assert run(f"--workdir={folder}", "--plan", "--pretrain_epochs=6") == 0
    output = capsys.readouterr().out
    assert not folder.exists()
    rows = {line.split()[0]: line.split() for line in output.splitlines() if line}
    # 5 steps an epoch of 256 of 1438 images; 1; and 14 of 100 of 1418 images.
    assert [rows[n][3] for n in ("pretrain", "finetune", "semi_finetune")] == [
        "30",
        "3",
        "28",
    ]
    assert all(float(rows[name][4]) > 0 for name in ("pretrain", "semi_finetune"))
    assert re.search(r"Training takes about \d+:\d\d and [\d.]+ MB", output)
    gigabytes = [float(rows[name][6]) for name in ("pretrain", "semi_finetune")]
    assert all(0.1 < one < 10 for one in gigabytes)
    assert "GPU" not in output
    assert "of this process, without what is held by an accelerator." in output


def test_memory_of_gpus_is_theirs_and_that_of_the_stage(tmp_path, capsys, monkeypatch):
    """Two GPUs, of which one holds three times as much, once peaks are forgotten."""
    begun = []
    held = {
        "GPU:0": lambda: {"current": 0, "peak": len(begun) * 10**9},
        "GPU:1": lambda: {"current": 0, "peak": len(begun) * 3 * 10**9},
    }
    monkeypatch.setattr(plan, "graphics_processors", lambda: list(held))
    memory = tf.config.experimental
    monkeypatch.setattr(memory, "get_memory_info", lambda device: held[device]())
    monkeypatch.setattr(memory, "reset_memory_stats", begun.append)
    assert run(f"--workdir={tmp_path}", "--plan", "--stages=finetune") == 0
    output = capsys.readouterr().out
    assert begun == ["GPU:0", "GPU:1"]
    header, _, row = (re.split(r" {2,}", line) for line in output.splitlines()[:3])
    column = header.index("GPU memory")
    assert row[column] == "6.00 GB"
    assert column == header.index("memory") + 1
    assert "GPU memory the most that any one GPU held." in output


def test_gpus_are_counted_as_tensorflow_sees_them(monkeypatch):
    for count, expected in ((0, []), (2, ["GPU:0", "GPU:1"])):
        devices = {"GPU": [None] * count, "CPU": [None]}
        monkeypatch.setattr(tf.config, "list_logical_devices", devices.get)
        assert plan.graphics_processors() == expected
    monkeypatch.setattr(plan, "graphics_processors", list)
    assert plan.peak_device_memory() is None


def test_only_what_is_left_is_planned_and_on_all_replicas(tmp_path):
    def ask(*flags):
        command = [sys.executable, ROOT / "main.py", *TINY, "--stages=finetune"]
        command += ["--finetune_epochs=12", f"--workdir={tmp_path}", *flags]
        return subprocess.run(command, capture_output=True, text=True, check=True)

    replicas = ("--strategy=mirrored", "--logical_cpus=2")
    ask(*replicas)
    (tmp_path / "finetune" / "DONE").unlink()
    checkpoint = next((tmp_path / "finetune" / "checkpoints").glob("step-*12.*"))
    arrays, metadata = read_arrays(checkpoint)
    write_arrays(checkpoint, arrays, {"position": '{"epoch": 5, "step": 5}'})
    row = next(
        line.split()
        for line in ask(*replicas, "--plan").stdout.splitlines()
        if line.startswith("finetune")
    )
    assert row[3] == "7"


def test_what_is_done_is_not_planned(tmp_path, capsys):
    flags = (f"--workdir={tmp_path}", "--stages=finetune")
    assert run(*flags) == 0
    capsys.readouterr()
    assert run(*flags, "--plan") == 0
    assert "Nothing is left to train." in capsys.readouterr().out
