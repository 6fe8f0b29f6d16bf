"""A run that is killed, and started again, ends with the same bits."""

import json
import pathlib
import signal
import subprocess
import sys
import time

from tests.stages.test_cli import ROOT, TINY

FLAGS = [
    *TINY,
    "--stages=finetune,semi_finetune,evaluate",
    "--deterministic",
    "--validation_per_class=1",
    "--checkpoint_steps=5",
]
KEPT = [
    "evaluation.json",
    "finetune/weights/student.safetensors",
    "finetune/metrics.jsonl",
    "semi_finetune/metrics.jsonl",
    "semi_finetune/weights/student.safetensors",
    "semi_finetune/weights/teacher.safetensors",
]


def start(folder, *flags):
    command = [sys.executable, str(ROOT / "main.py"), *FLAGS, *flags]
    return subprocess.Popen(
        [*command, f"--workdir={folder}"],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def wait_for(folder, process, pattern):
    """Waits until a run has written a file like a pattern, or ended."""
    while process.poll() is None and not list(folder.glob(pattern)):
        time.sleep(0.01)


def test_a_killed_and_a_stopped_run_end_like_the_uninterrupted_one(tmp_path):
    whole, broken = tmp_path / "whole", tmp_path / "broken"
    output, errors = start(whole).communicate(timeout=300)
    assert (whole / "evaluation.json").exists(), output + errors

    for tens, ending in (("0", signal.SIGTERM), ("1", signal.SIGKILL)):
        process = start(broken)
        path = f"semi_finetune/checkpoints/step-00000000{tens}*"
        wait_for(broken, process, path)
        process.send_signal(ending)
        output, errors = process.communicate(timeout=300)
        if ending is signal.SIGTERM:
            assert process.returncode == 0
            assert errors.splitlines()[-1] == "Stopped. The same command continues."
        else:
            assert process.returncode == -ending, output + errors
    output, errors = start(broken).communicate(timeout=300)
    assert "semi_finetune: 2 epochs" in output and "continued at step" in output
    for name in KEPT:
        assert (broken / name).read_bytes() == (whole / name).read_bytes(), name


def test_a_full_disk_keeps_the_checkpoint_there_is(tmp_path):
    """Files may grow to 4 kB only: that is less than a checkpoint."""
    folder = pathlib.Path(tmp_path)
    process = start(folder, "--stages=finetune", "--finetune_epochs=30")
    wait_for(folder, process, "finetune/checkpoints/step-*")
    process.kill()
    process.communicate(timeout=300)
    before = sorted((folder / "finetune" / "checkpoints").glob("step-*"))[-1]
    limited = ["bash", "-c", 'ulimit -f 4; exec "$@"', "limited"]
    command = [*limited, sys.executable, str(ROOT / "main.py"), *FLAGS]
    result = subprocess.run(
        [*command, "--stages=finetune", "--finetune_epochs=30", f"--workdir={folder}"],
        capture_output=True,
        text=True,
    )
    assert result.returncode == 2
    assert "Traceback" not in result.stderr
    line = result.stderr.splitlines()[-1]
    assert "cannot be written" in line and line.endswith("the same command continues")
    assert before.exists()
    assert json.loads((folder / "config.json").read_text())
