"""How is a run told to stop, and what does it finish first?

SIGTERM and Ctrl-C (SIGINT) end a run by `Stopped`. Where a step is under way, it is
finished and its state is kept before; a second signal does not wait.
"""

import contextlib
import signal
import sys
import threading

import keras


class Stopped(KeyboardInterrupt):
    """The run was asked to stop; what it had done is kept."""


class StopRequest:
    """Whether somebody has asked to stop."""

    made = False


class SharedStopRequest:
    """Whether any worker of a run was asked to stop: a file in their folder says so.

    The chief keeps the state and stops; without it the others cannot go on.

    Args:
        request: `StopRequest` of this worker.
        path: Path of the file; None where there are no others.
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
    """Tells the chief after a step, where this worker was asked to stop.

    Args:
        request: `SharedStopRequest`.
    """

    def __init__(self, request):
        super().__init__()
        self.request = request

    def on_train_batch_end(self, batch, logs=None):
        self.request.tell()


_waiting = []  # the request of the work that is finished first, if there is any


def _answer(number, frame):
    if not _waiting or _waiting[-1].made:
        raise Stopped
    _waiting[-1].made = True
    sys.stderr.write("\nStopping after this step. Once more: at once.\n")


@contextlib.contextmanager
def stops_on_signals():
    """Lets SIGTERM and Ctrl-C raise `Stopped`, unless the process ignores them.

    Gives a function to call after a library may have taken the signals for itself.
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
    """Gives a `StopRequest` to look at: the first signal is left to who looks."""
    request = StopRequest()
    _waiting.append(request)
    try:
        yield request
    finally:
        _waiting.pop()
    if request.made:
        raise Stopped
