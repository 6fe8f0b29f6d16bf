"""Requests to stop a run, and what it finishes first.

SIGTERM and Ctrl-C (SIGINT) end a run by `Stopped`. A training step that is under way
is finished and saved first; a second signal stops at once.
"""

import contextlib
import signal
import sys
import threading

import keras


class Stopped(KeyboardInterrupt):
    """The run was asked to stop; its state is saved."""


class StopRequest:
    """Whether somebody has asked to stop."""

    made = False


class SharedStopRequest:
    """Whether any worker of a run was asked to stop, told by a file that all can see.

    The chief saves the state and stops; the others cannot go on without it.

    Args:
        request: `StopRequest` of this worker.
        path: Path of the file; None where there is one worker.
    """

    def __init__(self, request, path=None):
        self.request = request
        self.path = path

    def tell(self):
        """Tells the others, if this worker was asked."""
        if self.request.made and self.path is not None:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            self.path.touch()

    @property
    def made(self):
        """Whether to stop; the others are told."""
        self.tell()
        return self.request.made or (self.path is not None and self.path.exists())


class PassStopOn(keras.callbacks.Callback):
    """Tells the chief after a step if this worker was asked to stop.

    Args:
        request: `SharedStopRequest`.
    """

    def __init__(self, request):
        super().__init__()
        self.request = request

    def on_train_batch_end(self, batch, logs=None):
        self.request.tell()


_waiting = []  # requests of work that stops by itself; the last one is asked


def _answer(number, frame):
    if not _waiting or _waiting[-1].made:
        raise Stopped
    _waiting[-1].made = True
    sys.stderr.write("\nStopping after this step. Once more: at once.\n")


@contextlib.contextmanager
def stops_on_signals():
    """Lets SIGTERM and Ctrl-C raise `Stopped`, unless the process ignores them.

    Gives a function that takes the signals back from a library that took them.
    """
    before = {}
    if threading.current_thread() is threading.main_thread():
        for number in (signal.SIGINT, signal.SIGTERM):
            if signal.getsignal(number) is not signal.SIG_IGN:
                before[number] = signal.signal(number, _answer)

    def listen():
        for number in before:
            signal.signal(number, _answer)

    try:
        yield listen
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


@contextlib.contextmanager
def finishing_first():
    """Gives a `StopRequest` to check: the first signal sets it and raises nothing."""
    request = StopRequest()
    _waiting.append(request)
    try:
        yield request
    finally:
        _waiting.pop()
    if request.made:
        raise Stopped
