"""Requests to stop a run, and what it finishes first.

SIGTERM and Ctrl-C (SIGINT) end a run by `Stopped`. A training step that is under way
is finished and saved first; a second signal stops at once.
"""

import contextlib
import signal
import sys
import threading


class Stopped(KeyboardInterrupt):
    """The run was asked to stop; its state is saved.

    Args:
        number: The signal that asked.
    """

    def __init__(self, number=signal.SIGTERM):
        super().__init__()
        self.number = number


class StopRequest:
    """Whether somebody has asked to stop, and by which signal."""

    number = None

    @property
    def made(self):
        """Whether somebody has asked to stop."""
        return self.number is not None


_waiting: list = []  # requests of work that stops by itself; the last one is asked


def _answer(number, frame):
    if not _waiting or _waiting[-1].made:
        raise Stopped(number)
    _waiting[-1].number = number
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
        raise Stopped(request.number)
