"""How a process ends: codes that shells know, and a word about it."""

import pathlib
import signal
import subprocess
import sys
import time

import pytest

from tests.stages.runs import ROOT, TINY


def test_help_that_nobody_reads_to_its_end_is_no_error():
    process = subprocess.Popen(
        [sys.executable, ROOT / "main.py", "--help"],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )
    process.stdout.close()
    assert process.stderr.read() == b""
    assert process.wait() == 0


def loads_tensorflow(process):
    """Waits until a process has begun to load TensorFlow; returns whether it did."""
    maps = pathlib.Path("/proc") / str(process.pid) / "maps"
    while process.poll() is None:
        if "libtensorflow" in maps.read_text():
            return True
        time.sleep(0.01)
    return False


@pytest.mark.skipif(sys.platform != "linux", reason="needs /proc")
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_before_the_run_begins_is_answered_too(number, tmp_path):
    command = [sys.executable, ROOT / "main.py", *TINY, f"--workdir={tmp_path}"]
    process = subprocess.Popen(command, stderr=subprocess.PIPE, text=True)
    assert loads_tensorflow(process)
    process.send_signal(number)
    _, errors = process.communicate(timeout=120)
    assert process.returncode == 128 + number
    assert errors == "\nStopped. The same command continues.\n"
    assert not list(tmp_path.iterdir())
