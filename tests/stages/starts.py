"""Runs in processes of their own that need not import TensorFlow again.

A server imports the package once and forks itself for each run. It uses nothing of
TensorFlow, which has not started any thread then, so that what it forks is like a
process that has just imported it.
"""

import gc
import json
import os
import pathlib
import runpy
import signal
import subprocess
import sys
import time

from tests.stages.runs import ROOT  # and so all of the package that runs need


class Started:
    """What tests need of `subprocess.Popen`, for a run that the server has forked."""

    def __init__(self, pid, folder):
        self.pid, self.returncode, self._folder = pid, None, folder

    def poll(self):
        """Returns the exit code, or None while the run goes on."""
        ended = self._folder / f"{self.pid}.ended"
        if self.returncode is None and ended.exists():
            self.returncode = int(ended.read_text())
        return self.returncode

    def send_signal(self, number):
        if self.poll() is None:
            os.kill(self.pid, number)

    def communicate(self, timeout=300):
        """Waits for the end; returns what the run has said and complained of."""
        end = time.monotonic() + timeout
        while self.poll() is None:
            if time.monotonic() > end:
                os.kill(self.pid, signal.SIGKILL)
                raise subprocess.TimeoutExpired(f"run {self.pid}", timeout)
            time.sleep(0.01)
        return tuple(
            (self._folder / f"{self.pid}.{name}").read_text()
            for name in ("output", "errors")
        )


class Starts:
    """Starts scripts; `close` waits for the server, and so counts what they cost.

    Args:
        folder: Path of a folder for what the runs say.
    """

    def __init__(self, folder):
        self._folder = pathlib.Path(folder)
        self._server = subprocess.Popen(
            [sys.executable, "-m", "tests.stages.starts", folder],
            cwd=ROOT,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )

    def __call__(self, *flags, script="main.py", **variables):
        """Starts a run; returns it as `Started`.

        Args:
            *flags: Strings.
            script: String, a path in the repository.
            **variables: Strings, of the environment.
        """
        arguments = [str(ROOT / script), *flags]
        print(json.dumps([arguments, variables]), file=self._server.stdin, flush=True)
        return Started(int(self._server.stdout.readline()), self._folder)

    def close(self):
        self._server.communicate()
        assert self._server.returncode == 0


def _reap(folder):
    """Notes the exit codes of all runs that have ended."""
    while True:
        try:
            pid, status = os.waitpid(-1, os.WNOHANG)
        except ChildProcessError:  # there are none
            return
        if not pid:
            return
        written = folder / f"{pid}.written"
        written.write_text(str(os.waitstatus_to_exitcode(status)))
        written.rename(folder / f"{pid}.ended")


def _become(arguments, variables, folder):
    """Goes on as a script."""
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    files = [os.devnull, *(folder / f"{os.getpid()}.{n}" for n in ("output", "errors"))]
    for number, path in enumerate(files):
        file = os.open(path, os.O_RDWR | os.O_CREAT, 0o600)
        os.dup2(file, number)
        os.close(file)
    os.environ.update(variables)
    sys.argv = arguments
    runpy.run_path(sys.argv[0], run_name="__main__")


def serve(folder):
    """Forks a run for each line, until there are no more."""
    gc.freeze()  # what all runs share is neither searched nor copied
    signal.signal(signal.SIGCHLD, lambda number, frame: _reap(folder))
    for line in sys.stdin:
        pid = os.fork()
        if not pid:
            return _become(*json.loads(line), folder)
        print(pid, flush=True)


if __name__ == "__main__":
    serve(pathlib.Path(sys.argv[1]))
