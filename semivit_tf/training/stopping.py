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


class StopBetweenSteps(keras.callbacks.Callback):
    """Raises `Stopped` after a step, where somebody has asked for it.

    Args:
        request: `StopRequest`.
    """

    def __init__(self, request):
        super().__init__()
        self.request = request

    def on_train_batch_end(self, batch, logs=None):
        if self.request.made:
            raise Stopped


_waiting = []  # the request of the work that is finished first, if there is any


def _answer(number, frame):
    if not _waiting or _waiting[-1].made:
        raise Stopped
    _waiting[-1].made = True
    sys.stderr.write("\nStopping after this step. Once more: at once.\n")


@contextlib.contextmanager
def stops_on_signals():
    """Lets SIGTERM and Ctrl-C raise `Stopped`, unless the process ignores them."""
    before = {}
    if threading.current_thread() is threading.main_thread():
        for number in (signal.SIGINT, signal.SIGTERM):
            if signal.getsignal(number) is not signal.SIG_IGN:
                before[number] = signal.signal(number, _answer)
    try:
        yield
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
