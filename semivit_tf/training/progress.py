"""The line that shows how far a stage is, with the time left."""

import sys
import time

import keras


def clock(seconds):
    """Returns seconds as `m:ss` or `h:mm:ss`."""
    minutes, seconds = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    if hours:
        return f"{hours}:{minutes:02d}:{seconds:02d}"
    return f"{minutes}:{seconds:02d}"


class Progress(keras.callbacks.Callback):
    """Writes one line: updated in place on a terminal.

    Elsewhere there is a line every 10 seconds, and one at each quarter of the epochs.

    Args:
        stage: String.
        epochs: Integer.
        steps_per_epoch: Integer.
        shown: Names of the metrics in the line, in order, if they are logged.
        first_step: Integer. Steps done before.
        stream: Where to write.
        later: Float. How many of its steps take as long as the stages after it.
        interval: Optional function from an accuracy on few validation images to its
            lower and its upper limit, which are shown as well.
    """

    def __init__(
        self,
        stage,
        epochs,
        steps_per_epoch,
        shown,
        first_step=0,
        stream=None,
        later=0.0,
        interval=None,
    ):
        super().__init__()
        self.interval_of = interval
        self.stage = stage
        self.epochs = epochs
        self.steps_per_epoch = steps_per_epoch
        self.shown = shown
        self.later = later
        self.stream = stream or sys.stdout
        self.in_place = self.stream.isatty()
        self.interval = 0.2 if self.in_place else 10.0
        self.step = self.first_step = first_step
        self.logs = {}
        self._started = self._written = None
        self._width = 0

    def on_train_begin(self, logs=None):
        if self._written is not None:  # a second `fit`, after the rest of an epoch
            return
        self._written = time.monotonic()
        total = self.epochs * self.steps_per_epoch
        again = f", continued at step {self.step}" if self.step else ""
        self.stream.write(
            f"{self.stage}: {self.epochs} epochs of {self.steps_per_epoch} steps, "
            f"{total} in all{again}\n"
        )
        self.stream.flush()

    def on_epoch_begin(self, epoch, logs=None):
        self._before = self.step

    def on_train_batch_end(self, batch, logs=None):
        self.step = self._before + batch + 1
        if self._started is None:  # the first step includes compiling
            self._started, self.first_step = time.monotonic(), self.step
        self.logs.update(logs or {})
        late = time.monotonic() - self._written >= self.interval
        if late and not self._done:  # the last line comes when training ends
            self.write()

    def on_epoch_end(self, epoch, logs=None):
        self.step = (epoch + 1) * self.steps_per_epoch
        self.logs.update(logs or {})
        quarter = epoch + 1 in [self.epochs * number // 4 for number in (1, 2, 3)]
        if quarter and not self.in_place and not self._done:
            self.write()

    def on_train_end(self, logs=None):
        if (self._done or self._ends_early) and self._started is not None:
            self.write(last=True)

    @property
    def _done(self):
        return self.step == self.epochs * self.steps_per_epoch

    @property
    def _ends_early(self):
        return self.model is not None and self.model.stop_training

    def line(self):
        """Returns the line."""
        done, total = self.step, self.epochs * self.steps_per_epoch
        elapsed = time.monotonic() - self._started
        parts = [f"{self.stage}  epoch {self._epoch(done)}/{self.epochs}"]
        parts += [
            f"{name.replace('_', ' ')} {self._value(name)}"
            for name in self.shown
            if name in self.logs
        ]
        if done > self.first_step and elapsed > 0:
            rate = (done - self.first_step) / elapsed
            parts.append(f"{rate:.1f} steps/s")
            if done < total and not self._ends_early:
                parts.append(f"{clock((total - done) / rate)} left")
                if self.later:
                    whole = (total - done + self.later) / rate
                    parts.append(f"{clock(whole)} in all")
            else:
                parts.append(f"took {clock(elapsed)}")
        return "  ".join(parts)

    def _value(self, name):
        value = float(self.logs[name])
        if self.interval_of is None or not name.endswith("accuracy"):
            return f"{value:.3f}"
        low, high = self.interval_of(value)
        return f"{value:.3f} ({low:.2f} to {high:.2f})"

    def _epoch(self, done):
        return min(self.epochs, -(-done // self.steps_per_epoch))

    def write(self, last=False):
        """Writes the line, on a terminal over the previous one."""
        line = self.line()
        if self.in_place:
            self.stream.write("\r" + line.ljust(self._width) + ("\n" if last else ""))
            self._width = len(line)
        else:
            self.stream.write(line + "\n")
        self.stream.flush()
        self._written = time.monotonic()


class CountProgress:
    """The same line for counted work: call it with `(done, total)`.

    Args:
        title: String.
        stream: Where to write.
    """

    def __init__(self, title, stream=None):
        self.title = title
        self.stream = stream or sys.stdout
        self.in_place = self.stream.isatty()
        self.interval = 0.2 if self.in_place else 10.0

    def __enter__(self):
        self._started = self._written = time.monotonic()
        self._width = self._done = 0
        return self

    def __call__(self, done, total):
        self._done = done
        now = time.monotonic()
        if now - self._written < self.interval or done >= total:
            return
        left = (now - self._started) / max(done, 1) * (total - done)
        self._write(f"{self.title}  {done}/{total}  {clock(left)} left")
        self._written = now

    def __exit__(self, kind, error, trace):
        took = clock(time.monotonic() - self._started)
        end = f"{self.title}  {self._done}  " + ("stopped" if kind else f"took {took}")
        self._write(end)
        self.stream.write("\n" if self.in_place else "")
        self.stream.flush()

    def _write(self, line):
        if self.in_place:
            self.stream.write("\r" + line.ljust(self._width))
            self._width = len(line)
        else:
            self.stream.write(line + "\n")
        self.stream.flush()
