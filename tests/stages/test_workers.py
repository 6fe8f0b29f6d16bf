"""Two processes on this machine, as two machines would be, against one."""

import json
import signal
import socket
import subprocess
import sys
import time

import pytest

from semivit_tf.cli import main
from tests.stages.runs import DINO, ROOT, TINY, error

ONE_STEP = ["--pretrain_batch_size=1400", "--pretrain_epochs=3"]  # an epoch
# Nothing is drawn in a step of stage 2, so that replicas and workers can be compared.
FLAGS = [
    *TINY,
    *ONE_STEP,
    "--validation_per_class=1",
    "--finetune_mixup_alpha=0",
    "--finetune_cutmix_alpha=0",
    "--finetune_drop_path=0",
    "--finetune_epochs=6",
]
UNWATCHED = "--validation_per_class=0"


def free_ports(count):
    sockets = [socket.socket() for _ in range(count)]
    for one in sockets:
        one.bind(("localhost", 0))
    ports = [one.getsockname()[1] for one in sockets]
    for one in sockets:
        one.close()
    return ports


@pytest.fixture
def start_both(start):
    """Starts both; the second may get flags of its own."""

    def begin(folder, *flags, others=None):
        addresses = [f"localhost:{port}" for port in free_ports(2)]
        processes = []
        for number in range(2):
            flags = flags if number == 0 or others is None else others
            task = {"type": "worker", "index": number}
            config = {"cluster": {"worker": addresses}, "task": task}
            given = [*FLAGS, "--strategy=multi_worker", f"--workdir={folder}", *flags]
            processes.append(start(*given, TF_CONFIG=json.dumps(config)))
        return processes

    return begin


def end_both(processes, code=0):
    answers = [process.communicate(timeout=240) for process in processes]
    for process, (output, errors) in zip(processes, answers, strict=True):
        assert process.returncode == code, output + errors
    return [output for output, _ in answers]


IN_PARTS = [f"--{stage}_batch_parts=2" for stage in ("pretrain", "finetune", "semi")]


@pytest.fixture(scope="module")
def replicas(tmp_path_factory):
    """All stages on two replicas of a process of its own, as users may have it."""
    folder = tmp_path_factory.mktemp("runs") / "one"
    command = [sys.executable, str(ROOT / "main.py"), *FLAGS, *IN_PARTS]
    command += ["--strategy=mirrored", "--logical_cpus=2", "--steps_per_execution=2"]
    command += [f"--workdir={folder}", "--stages=pretrain,finetune,semi_finetune"]
    command[-1] += ",evaluate,export"
    result = subprocess.run(command, capture_output=True, text=True, check=True)
    assert "Traceback" not in result.stderr
    return folder


def lines_of(folder, stage="finetune"):
    lines = (folder / stage / "metrics.jsonl").read_text().splitlines()
    return [json.loads(line) for line in lines]


def assert_same_lines(folders, stage, steps):
    """Compares all that two runs have logged, step by step."""
    both = [lines_of(folder, stage) for folder in folders]
    assert len(both[0]) == len(both[1]) == steps
    for one, two in zip(*both, strict=True):
        assert one == pytest.approx(two, rel=1e-5)
    assert both[0][0]["loss"] - both[0][-1]["loss"] > 1e-4


def test_mirrored_runs_all_stages_in_a_process_of_its_own(replicas):
    results = json.loads((replicas / "evaluation.json").read_text())["results"]
    assert len(results) == 6
    assert lines_of(replicas, "semi_finetune")[-1]["kept"] == 1.0


def test_two_workers_go_through_all_stages_as_two_replicas_do(
    replicas, start_both, tmp_path
):
    """Each replica hides patches of its own, so one process has to have two."""
    stages = "--stages=check,pretrain,finetune,semi_finetune,evaluate,export"
    first, second = end_both(start_both(tmp_path, stages))
    assert "teacher" in first and second == ""  # only one speaks
    assert (tmp_path / "export" / "1" / "saved_model.pb").exists()
    assert_same_lines((replicas, tmp_path), "pretrain", 3)
    assert_same_lines((replicas, tmp_path), "finetune", 6)


def test_two_workers_distil_as_one_device_does(start_both, tmp_path):
    """Crops follow from the image alone."""
    flags = (*DINO, *ONE_STEP, "--pretrain_dino_drop_path=0", "--stages=pretrain")
    flags += (UNWATCHED,)
    both = start_both(tmp_path / "two", *flags)
    assert main(["main.py", *FLAGS, *flags, f"--workdir={tmp_path / 'one'}"]) == 0
    end_both(both)
    assert_same_lines((tmp_path / "one", tmp_path / "two"), "pretrain", 3)


def test_workers_end_and_stop_together_and_continue(start_both, tmp_path):
    """One of them is killed, and one is asked to stop: the chief, and the other."""
    flags = ("--stages=finetune", "--finetune_epochs=240", "--checkpoint_steps=5")
    flags += ("--finetune_minimum_learning_rate=0", UNWATCHED)

    def start_and_wait(known):
        """Starts both; returns them once they have a checkpoint that is new."""
        processes = start_both(tmp_path, *flags)
        while processes[0].poll() is None and set(checkpoints()) <= known:
            time.sleep(0.05)
        return processes

    def checkpoints():
        return list((tmp_path / "finetune" / "checkpoints").glob("step-*"))

    for killed in (0, 1):
        processes = start_and_wait(set(checkpoints()))
        processes[killed].send_signal(signal.SIGKILL)
        started = time.monotonic()
        output, errors = processes[1 - killed].communicate(timeout=120)
        processes[killed].communicate()
        assert time.monotonic() - started < 60
        assert processes[1 - killed].returncode == 2, output + errors
        assert "another worker of this run has ended" in errors.splitlines()[-1]
    for asked in (0, 1):
        processes = start_and_wait(set(checkpoints()))
        processes[asked].send_signal(signal.SIGTERM)
        output, _ = end_both(processes, code=128 + signal.SIGTERM)
        assert "continued at step" in output
        assert not (tmp_path / "finetune" / "DONE").exists()
    last = max(int(path.name.split("-")[1].split(".")[0]) for path in checkpoints())
    assert 10 < last < 240  # each has gone on
    epochs = [line["epoch"] for line in lines_of(tmp_path)]
    assert epochs == list(range(1, len(epochs) + 1)) and len(epochs) >= last
    end_both(start_both(tmp_path, *flags))
    assert len(lines_of(tmp_path)) == 240


@pytest.mark.parametrize("others", [["--finetune_epochs=5"], ["--workdir={other}"]])
def test_workers_that_differ_do_not_train(start_both, tmp_path, others):
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
