"""A request to stop that several workers share."""

import signal

import keras


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
    def number(self):
        """The signal; SIGTERM where another worker was asked."""
        return self.request.number or signal.SIGTERM

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
