"""A run in a process of its own, so that its memory is free when it ends."""

import os
import pathlib
import signal
import subprocess
import sys

from semivit_tf.config.settings import InputError
from semivit_tf.stop_signals import Stopped, finishing_first

_PACKAGE = pathlib.Path(__file__).parents[1]
_LOOK = 0.2  # seconds between looks at whether to stop


def run_apart(config):
    """Carries out a run as `python -m semivit_tf` does; its output is shown.

    Raises:
        InputError: If it fails. It has said why.
        Stopped: If a signal has stopped this process. The run has ended then, too, and
            continues where it was.
    """
    command = [sys.executable, "-m", _PACKAGE.name, *config.command_line()]
    places = (str(_PACKAGE.parent), os.environ.get("PYTHONPATH"))
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, places))}
    sys.stdout.flush()
    with finishing_first() as request:
        # In a session of its own, Ctrl-C reaches it once: through this process.
        process = subprocess.Popen(command, env=environment, start_new_session=True)
        try:
            code = _wait(process, request)
        except BaseException as error:
            process.send_signal(getattr(error, "number", signal.SIGTERM))
            process.wait()
            raise
    for number in (signal.SIGINT, signal.SIGTERM):
        if code in (128 + number, -number):
            raise Stopped(number)
    if code:
        why = f"by signal {-code}" if code < 0 else f"with exit code {code}"
        raise InputError(
            f"the run in {config.run.workdir} ended {why}; see what it says above. "
            "The same command continues"
        )


def _wait(process, request):
    """Returns the exit code; passes a signal that this process gets on, once."""
    told = False
    while True:
        try:
            return process.wait(_LOOK)
        except subprocess.TimeoutExpired:
            if request.made and not told:
                process.send_signal(request.number)
                told = True
