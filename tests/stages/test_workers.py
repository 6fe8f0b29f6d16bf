"""Two processes on this machine, as two machines would be, against one."""

import json
import os
import signal
import socket
import subprocess
import sys
import time

import pytest

from semivit_tf.cli import main
from tests.stages.runs import DINO, ROOT, TINY, error

ONE_STEP = ["--pretrain_batch_size=1400", "--pretrain_epochs=3"]  # an epoch
# Nothing is drawn in a step of stage 2, so that one process can say what is right.
FLAGS = [
    *TINY,
    *ONE_STEP,
    "--validation_per_class=1",
    "--finetune_mixup_alpha=0",
    "--finetune_cutmix_alpha=0",
    "--finetune_drop_path=0",
    "--finetune_epochs=6",
]


def free_ports(count):
    sockets = [socket.socket() for _ in range(count)]
    for one in sockets:
        one.bind(("localhost", 0))
    ports = [one.getsockname()[1] for one in sockets]
    for one in sockets:
        one.close()
    return ports


def start_both(folder, *flags, others=None):
    """Starts both; the second may get flags of its own."""
    addresses = [f"localhost:{port}" for port in free_ports(2)]
    processes = []
    for number in range(2):
        flags = flags if number == 0 or others is None else others
        task = {"type": "worker", "index": number}
        config = {"cluster": {"worker": addresses}, "task": task}
        command = [sys.executable, str(ROOT / "main.py"), *FLAGS]
        command += ["--strategy=multi_worker", f"--workdir={folder}", *flags]
        processes.append(
            subprocess.Popen(
                command,
                env={**os.environ, "TF_CONFIG": json.dumps(config)},
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
                text=True,
            )
        )
    return processes


def end_both(processes, code=0):
    answers = [process.communicate(timeout=240) for process in processes]
    for process, (output, errors) in zip(processes, answers, strict=True):
        assert process.returncode == code, output + errors
    return [output for output, _ in answers]


def run_as_replicas(folder, *flags):
    command = [sys.executable, str(ROOT / "main.py"), *FLAGS, *flags]
    command += ["--strategy=mirrored", "--logical_cpus=2", f"--workdir={folder}"]
    subprocess.run(command, check=True, capture_output=True)


def lines_of(folder, stage="finetune"):
    lines = (folder / stage / "metrics.jsonl").read_text().splitlines()
    return [json.loads(line) for line in lines]


def assert_same_lines(folder, stage, steps):
    """Compares all that is logged of the runs `one` and `two`, step by step."""
    both = [lines_of(folder / name, stage) for name in ("one", "two")]
    assert len(both[0]) == len(both[1]) == steps
    for one, two in zip(*both, strict=True):
        assert one == pytest.approx(two, rel=1e-5)
    assert both[0][0]["loss"] - both[0][-1]["loss"] > 1e-4


def test_two_workers_go_through_all_stages_as_two_replicas_do(tmp_path):
    """Each replica hides patches of its own, so one process has to have two."""
    stages = "--stages=check,pretrain,finetune,semi_finetune,evaluate,export"
    first, second = end_both(start_both(tmp_path / "two", stages))
    assert "teacher" in first and second == ""  # only one speaks
    assert (tmp_path / "two" / "export" / "1" / "saved_model.pb").exists()
    run_as_replicas(tmp_path / "one", "--stages=pretrain,finetune")
    assert_same_lines(tmp_path, "pretrain", 3)
    assert_same_lines(tmp_path, "finetune", 6)


def test_two_workers_distil_and_finetune_as_one_device_does(tmp_path):
    """Crops follow from the image alone."""
    flags = (*DINO, *ONE_STEP, "--pretrain_dino_drop_path=0")
    flags += ("--stages=pretrain,finetune",)
    both = start_both(tmp_path / "two", *flags)
    assert main(["main.py", *FLAGS, *flags, f"--workdir={tmp_path / 'one'}"]) == 0
    end_both(both)
    assert_same_lines(tmp_path, "pretrain", 3)
    assert_same_lines(tmp_path, "finetune", 6)


@pytest.mark.parametrize("killed", [0, 1])
def test_an_ended_worker_ends_the_other_and_both_continue(tmp_path, killed):
    """The chief, or the other."""
    flags = ("--stages=finetune", "--finetune_epochs=60", "--checkpoint_steps=5")
    processes = start_both(tmp_path, *flags)
    checkpoints = tmp_path / "finetune" / "checkpoints"
    while not list(checkpoints.glob("step-*")) and processes[0].poll() is None:
        time.sleep(0.05)
    processes[killed].kill()
    started = time.monotonic()
    other = processes[1 - killed]
    output, errors = other.communicate(timeout=120)
    processes[killed].communicate()
    assert time.monotonic() - started < 60
    assert other.returncode == 2, output + errors
    assert "another worker of this run has ended" in errors.splitlines()[-1]
    output, _ = end_both(start_both(tmp_path, *flags))
    assert "continued at step" in output
    assert len(lines_of(tmp_path)) == 60


@pytest.mark.parametrize("asked", [0, 1])
def test_a_worker_that_is_asked_to_stop_stops_all(tmp_path, asked):
    """The chief, or the other."""
    flags = ("--stages=finetune", "--finetune_epochs=400", "--checkpoint_seconds=900")
    processes = start_both(tmp_path, *flags, "--finetune_minimum_learning_rate=0")
    log = tmp_path / "finetune" / "metrics.jsonl"
    while not log.exists() and processes[0].poll() is None:
        time.sleep(0.05)
    processes[asked].terminate()
    end_both(processes, code=128 + signal.SIGTERM)
    assert not (tmp_path / "finetune" / "DONE").exists()
    assert len(list((tmp_path / "finetune" / "checkpoints").glob("step-*"))) == 1


@pytest.mark.parametrize("others", [["--finetune_epochs=5"], ["--workdir={other}"]])
def test_workers_that_differ_do_not_train(tmp_path, others):
    others = [flag.format(other=tmp_path / "other") for flag in others]
    folder = tmp_path / "run"
    both = start_both(
        folder, "--stages=finetune", others=["--stages=finetune"] + others
    )
    for process in both:
        _, errors = process.communicate(timeout=120)
        assert process.returncode == 2
        assert "Traceback" not in errors
        lines = errors.strip().splitlines()
        assert "workers of this run differ" in lines[-1] or "has ended" in lines[-1]
    assert not (folder / "finetune").exists()


@pytest.mark.parametrize("config", ["", "{}", "[]", '{"cluster": {"worker": 5}}'])
def test_a_wrong_description_of_the_workers_is_refused(
    config, tmp_path, capsys, monkeypatch
):
    monkeypatch.setenv("TF_CONFIG", config)
    line = error(capsys, "--strategy=multi_worker", f"--workdir={tmp_path / 'run'}")
    assert "TF_CONFIG cannot be used" in line


def test_workers_have_to_be_named(tmp_path, capsys, monkeypatch):
    monkeypatch.delenv("TF_CONFIG", raising=False)
    line = error(capsys, "--strategy=multi_worker", f"--workdir={tmp_path}")
    assert "together with the variable TF_CONFIG" in line


@pytest.fixture(autouse=True)
def quiet(monkeypatch):
    monkeypatch.setenv("TF_CPP_MIN_LOG_LEVEL", "3")
