"""Runs in processes of their own: how they end, and what a signal does."""

import os
import signal
import subprocess
import sys
import threading

import pytest

from semivit_tf.config import Config
from semivit_tf.config.settings import InputError
from semivit_tf.stop_signals import Stopped, stops_on_signals
from semivit_tf.sweep import own_process

Popen = subprocess.Popen


@pytest.fixture
def running(monkeypatch):
    """Returns a function that lets runs be a script; gives their commands."""

    def use(script):
        commands = []

        def start(command, **options):
            commands.append((command, options))
            options.pop("env")
            return Popen([sys.executable, "-S", "-c", script], **options)

        monkeypatch.setattr(own_process.subprocess, "Popen", start)
        return commands

    return use


def test_a_run_gets_its_flags_and_may_import_the_package(running):
    commands = running("")
    config = Config.from_flags({"labels_per_class": 4, "finetune_balanced": True})
    own_process.run_apart(config)
    ((command, options),) = commands
    assert command[:3] == [sys.executable, "-m", "semivit_tf"]
    assert {"--labels_per_class=4", "--finetune_balanced=True"} <= set(command)
    assert not [flag for flag in command if flag.startswith("--semi_epochs")]
    assert options["start_new_session"]


@pytest.mark.parametrize(
    ("script", "why"),
    [
        ("raise SystemExit(2)", "ended with exit code 2"),
        ("import os; os.kill(os.getpid(), 9)", "ended by signal 9"),
    ],
)
def test_a_run_that_fails_ends_the_sweep_in_one_line(running, script, why):
    running(script)
    with pytest.raises(InputError, match=f"^the run in runs/digits {why}; "):
        own_process.run_apart(Config())


def test_a_stopped_run_is_no_failure(running):
    running("raise SystemExit(130)")
    with pytest.raises(Stopped) as stopped:
        own_process.run_apart(Config())
    assert stopped.value.number == signal.SIGINT


def test_a_signal_reaches_the_run_and_is_waited_for(running, tmp_path):
    file = tmp_path / "ended"
    script = (
        "import signal, sys, time\n"
        f"def end(*_): open({str(file)!r}, 'w').close(); sys.exit(143)\n"
        "signal.signal(signal.SIGTERM, end)\n"
        f"open({str(file)!r} + '.ready', 'w').close()\n"
        "time.sleep(60)"
    )
    running(script)

    def stop_when_ready():
        while not os.path.exists(f"{file}.ready"):
            threading.Event().wait(0.05)
        os.kill(os.getpid(), signal.SIGTERM)

    with stops_on_signals(), pytest.raises(Stopped) as stopped:
        threading.Thread(target=stop_when_ready).start()
        own_process.run_apart(Config())
    assert stopped.value.number == signal.SIGTERM and file.exists()
