"""A run that is killed, or whose disk is full, ends with the same bits in the end."""

import errno
import json
import os
import signal
import subprocess
import sys
import time

import pytest

from tests.stages.runs import ROOT, TINY

FLAGS = [
    *TINY,
    "--stages=pretrain,finetune,semi_finetune,evaluate",
    "--deterministic",
    "--validation_per_class=1",
    "--checkpoint_steps=5",
]
KEPT = [
    "evaluation.json",
    "pretrain/weights/encoder.safetensors",
    "pretrain/metrics.jsonl",
    "finetune/weights/student.safetensors",
    "finetune/metrics.jsonl",
    "semi_finetune/metrics.jsonl",
    "semi_finetune/weights/student.safetensors",
    "semi_finetune/weights/teacher.safetensors",
    "finetune/weights/best/student.safetensors",
    "semi_finetune/weights/best/student.safetensors",
    "semi_finetune/weights/best/teacher.safetensors",
]


@pytest.fixture(scope="module")
def begin(start):
    """Starts a run in a folder."""
    return lambda folder, *flags: start(*FLAGS, *flags, f"--workdir={folder}")


def wait_for(folder, process, pattern):
    """Waits until a run has written a file like a pattern, or ended."""
    while process.poll() is None and not list(folder.glob(pattern)):
        time.sleep(0.01)


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    """A run that nothing has interrupted, in a process that users may have."""
    folder = tmp_path_factory.mktemp("runs") / "whole"
    command = [sys.executable, str(ROOT / "main.py"), *FLAGS, f"--workdir={folder}"]
    subprocess.run(command, capture_output=True, check=True)
    return folder


def assert_ends_like(whole, folder, process, names=KEPT):
    """Compares what a run leaves that was broken off and has been started again."""
    output, errors = process.communicate(timeout=300)
    assert "continued at step" in output, output + errors
    assert_same_bytes(whole, folder, names)
    return output


def assert_same_bytes(whole, folder, names):
    assert names
    for name in names:
        assert (folder / name).read_bytes() == (whole / name).read_bytes(), name


def assert_says_that_it_continues(code, errors):
    assert code == 2, errors
    assert "Traceback" not in errors
    assert errors.splitlines()[-1].endswith("the same command continues")


# A full disk is met in the first stage: what comes after it would tell no more.
FIRST_STAGE = "--stages=pretrain"
OF_FIRST_STAGE = [name for name in KEPT if name.startswith("pretrain/")]


def test_a_killed_and_a_stopped_run_end_like_the_uninterrupted_one(
    whole, begin, tmp_path
):
    """So the same seed gives the same bits in other processes, too."""
    for stage, tens, ending in (
        ("pretrain", "0", signal.SIGKILL),
        ("semi_finetune", "0", signal.SIGTERM),
        ("semi_finetune", "1", signal.SIGKILL),
    ):
        process = begin(tmp_path)
        wait_for(tmp_path, process, f"{stage}/checkpoints/step-00000000{tens}*")
        process.send_signal(ending)
        output, errors = process.communicate(timeout=300)
        if ending is signal.SIGTERM:
            assert process.returncode == 128 + signal.SIGTERM
            assert errors.splitlines()[-1] == "Stopped. The same command continues."
        else:
            assert process.returncode == -ending, output + errors
    assert "semi_finetune: 2 epochs" in assert_ends_like(
        whole, tmp_path, begin(tmp_path)
    )


def test_a_full_disk_keeps_the_checkpoint_there_is(whole, begin, tmp_path):
    """Files may grow to 4 kB only: that is less than a checkpoint."""
    process = begin(tmp_path, FIRST_STAGE)
    wait_for(tmp_path, process, "pretrain/checkpoints/step-*")
    process.send_signal(signal.SIGKILL)
    process.communicate(timeout=300)
    before = sorted((tmp_path / "pretrain" / "checkpoints").glob("step-*"))[-1]
    limited = ["bash", "-c", 'ulimit -f 4; exec "$@"', "limited"]
    command = [*limited, sys.executable, str(ROOT / "main.py"), *FLAGS, FIRST_STAGE]
    result = subprocess.run(
        [*command, f"--workdir={tmp_path}"], capture_output=True, text=True
    )
    assert_says_that_it_continues(result.returncode, result.stderr)
    assert "File too large" in result.stderr.splitlines()[-1]
    assert before.exists()
    assert json.loads((tmp_path / "config.json").read_text())
    again = begin(tmp_path, FIRST_STAGE)
    assert_ends_like(whole, tmp_path, again, names=OF_FIRST_STAGE)


@pytest.fixture
def small_disk(tmp_path):
    """A disk of 8 MB."""
    command = ["mount", "-t", "tmpfs", "-o", "size=8m", "tmpfs", str(tmp_path)]
    if os.geteuid() or subprocess.run(command, capture_output=True).returncode:
        pytest.skip("only root can mount a disk, and not everywhere")
    yield tmp_path
    subprocess.run(["umount", "--lazy", str(tmp_path)], check=True)


def fill(path):
    """Makes a file longer until the disk is full."""
    try:
        with path.open("ab", buffering=0) as file:
            while file.write(bytes(4096)):
                pass
    except OSError as error:
        assert error.errno == errno.ENOSPC


def test_a_disk_that_others_fill_stops_a_run_that_goes_on_when_it_is_free(
    whole, begin, small_disk
):
    folder, ballast = small_disk / "run", small_disk / "ballast"
    process = begin(folder, FIRST_STAGE)
    wait_for(folder, process, "pretrain/checkpoints/step-*")
    while process.poll() is None:  # a checkpoint may have been dropped meanwhile
        fill(ballast)
        time.sleep(0.01)
    _, errors = process.communicate()
    assert_says_that_it_continues(process.returncode, errors)
    ballast.unlink()
    again = begin(folder, FIRST_STAGE)
    assert_ends_like(whole, folder, again, names=OF_FIRST_STAGE)
