"""The end of a stage before its last epoch: it is in vain, or time is up."""

import json
import sys
import time

import keras

from semivit_tf.training.progress import clock


class EndEarly(keras.callbacks.Callback):
    """Ends training after an epoch; `made` says whether it has.

    Args:
        stage: String, for the line that says so.
        metric: Optional name of a metric, of which more is better.
        patience: Optional integer. Ends when so many validations in a row have not
            improved the metric.
        deadline: Optional float. Ends when `time.monotonic()` is past it.
        values: Sequence of floats. What the metric was in epochs before.
        stream: Where to write.
    """

    def __init__(
        self, stage, metric=None, patience=None, deadline=None, values=(), stream=None
    ):
        super().__init__()
        self.stage = stage
        self.metric = metric
        self.patience = patience
        self.deadline = deadline
        self.stream = stream or sys.stdout
        self.best, self.since = float("-inf"), 0
        for value in values:
            self._count(value)
        self.made = self._is_vain()

    def _count(self, value):
        self.since = 0 if value > self.best else self.since + 1
        self.best = max(self.best, value)

    def _is_vain(self):
        return self.patience is not None and self.since >= self.patience

    def on_epoch_end(self, epoch, logs=None):
        if self.metric in (logs or {}):
            self._count(float(logs[self.metric]))
            if self._is_vain():
                self._end(
                    epoch,
                    f"{self.since} validations in a row were not better than "
                    f"{self.best:.3f}",
                )
                return
        if self.deadline is not None and time.monotonic() > self.deadline:
            late = clock(time.monotonic() - self.deadline)
            self._end(epoch, f"its time was up {late} ago")

    def _end(self, epoch, reason):
        self.made = self.model.stop_training = True
        self.stream.write(f"\n{self.stage} ends after epoch {epoch + 1}: {reason}\n")
        self.stream.flush()


def logged_values(path, metric, epoch):
    """Returns the values of a metric in `metrics.jsonl` up to an epoch."""
    if not path.exists():
        return []
    lines = [json.loads(line) for line in path.read_text("utf-8").splitlines()]
    return [line[metric] for line in lines if line["epoch"] <= epoch and metric in line]
