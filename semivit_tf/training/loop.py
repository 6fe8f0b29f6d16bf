"""Training of a stage: `fit` from the latest checkpoint, with logs and checkpoints."""

import contextlib
import dataclasses
import gc
import pathlib
import traceback
from collections.abc import Callable, Sequence

import keras
import tensorflow as tf

from semivit_tf.stop_signals import Stopped, finishing_first
from semivit_tf.training.checkpoints import Checkpoints, Position
from semivit_tf.training.distribution import WORKER_ENDED, distributed, workers
from semivit_tf.training.early_end import EndEarly, logged_values
from semivit_tf.training.metrics_log import MetricsLog
from semivit_tf.training.non_finite import StopOnNonFiniteLoss
from semivit_tf.training.progress import Progress
from semivit_tf.training.running_means import KeepRunningMeans
from semivit_tf.training.save_checkpoints import SaveCheckpoints
from semivit_tf.training.stopping import PassStopOn, SharedStopRequest

# The file by which one of several workers tells the others to stop.
_STOP = ".stop"

_SHOWN = (
    "loss",
    "teacher_entropy",
    "view_divergence",
    "kept",
    "encoder_knn_accuracy",
    "teacher_knn_accuracy",
    "pseudo_label_precision",
    "val_accuracy",
    "val_student_accuracy",
)


def validated_epochs(epochs, validations):
    """Returns about `validations` evenly spaced epochs, including the last."""
    every = max(1, epochs // validations)
    return [number for number in range(1, epochs + 1) if (epochs - number) % every == 0]


def portions(position, epochs, steps_per_epoch):
    """Splits what is left into calls of `fit`: first the rest of an epoch begun.

    Yields:
        Tuples `(first_step, initial_epoch, epochs, steps_per_epoch)`.
    """
    epoch, step = position.epoch, position.step
    begun = step - epoch * steps_per_epoch
    if begun:
        yield step, epoch, epoch + 1, steps_per_epoch - begun
        epoch += 1
    if epoch < epochs:
        yield epoch * steps_per_epoch, epoch, epochs, steps_per_epoch


@contextlib.contextmanager
def stopped_together(path=None):
    """Gives a `SharedStopRequest`; raises `Stopped` in the end where it was made.

    A worker that has stopped leaves the others with an error, which counts as a stop
    too, if all were asked to.

    Args:
        path: See `SharedStopRequest`.
    """
    with finishing_first() as own_request:
        request = SharedStopRequest(own_request, path)
        try:
            yield request
        except (Stopped, *WORKER_ENDED) as error:
            if request.made:
                raise Stopped(request.number) from error
            raise
        if request.made:
            raise Stopped(request.number)


@contextlib.contextmanager
def iterators_ended():
    """Ends the data streams of a `fit` that fails.

    A tf.data iterator that is alive when Python exits may wait forever for Python
    threads that no longer run.
    """
    try:
        yield
    except BaseException as error:
        traceback.clear_frames(error.__traceback__)
        gc.collect()
        raise


@dataclasses.dataclass(frozen=True, kw_only=True)
class Job:
    """How long a model trains, and what is validated, saved and shown on the way.

    Attributes:
        stage: Name for the progress line and for errors.
        folder: Path for `checkpoints/`, `metrics.jsonl` and `tensorboard/`.
        epochs: Number of epochs, with those done before.
        steps_per_epoch: Steps in an epoch.
        steps_per_execution: Steps before Python is asked again. The last execution of
            an epoch has what is left.
        validation_data: Optional data set.
        validations: About how many epochs are validated.
        checkpoint_seconds: Time between two checkpoints.
        checkpoint_steps: Optional number of steps after which one is saved, too.
        keep_checkpoints: How many of the latest checkpoints are kept.
        best: Optional tuple `(name, metric)`, see `SaveCheckpoints`.
        patience: Optional integer, see `EndEarly`, for the metric of `best`.
        deadline: Optional float, see `EndEarly`.
        later: Float. How many of its steps take as long as the stages after it.
        interval: Optional function, see `Progress`.
        callbacks: Further callbacks.
    """

    stage: str
    folder: pathlib.Path
    epochs: int
    steps_per_epoch: int
    steps_per_execution: int = 1
    validation_data: tf.data.Dataset | None = None
    validations: int = 20
    checkpoint_seconds: float = 60.0
    checkpoint_steps: int | None = None
    keep_checkpoints: int = 2
    best: tuple[str, str] | None = None
    patience: int | None = None
    deadline: float | None = None
    later: float = 0.0
    interval: Callable | None = None
    callbacks: Sequence[keras.callbacks.Callback] = ()


@contextlib.contextmanager
def reporting(job, checkpoints, start, request, chief=True):
    """Gives the callbacks that watch the loss, log, save, end and show progress.

    They come with the one of them that may end training early.

    Args:
        job: `Job`.
        checkpoints: `Checkpoints`.
        start: `Position` from which training goes on.
        request: `SharedStopRequest`.
        chief: Bool. The other workers write nothing.
    """
    non_finite = StopOnNonFiniteLoss(job.stage)
    if not chief:
        yield [non_finite, PassStopOn(request)], EndEarly(job.stage)
        return
    epochs, steps = job.epochs, job.steps_per_epoch
    with MetricsLog(job.folder, start.epoch) as log:
        metric = job.best[1] if job.best else None
        values = logged_values(log.path, metric, start.epoch)
        end = EndEarly(job.stage, metric, job.patience, job.deadline, values)
        save = SaveCheckpoints(
            checkpoints,
            start,
            epochs,
            steps,
            seconds=job.checkpoint_seconds,
            steps=job.checkpoint_steps,
            best=job.best,
            check=non_finite.check,
            stop=lambda: request.made,
            last=lambda: end.made,
        )
        progress = Progress(
            job.stage,
            epochs,
            steps,
            _SHOWN,
            start.step,
            later=job.later,
            interval=job.interval,
        )
        yield [non_finite, log, end, save, progress], end


def train(model, stream, job):
    """Trains a compiled model as a job says, from its latest checkpoint on.

    Args:
        model: A compiled method.
        stream: Function from a start step, and a worker's shard where there are
            several, to an endless data set.
        job: `Job`.

    Returns:
        `Position` of the end, which may be before the last epoch.
    """
    strategy = model.distribute_strategy
    number, count = workers(strategy)
    chief, stop_file = number == 0, job.folder / _STOP
    if chief:
        stop_file.unlink(missing_ok=True)
    checkpoints = Checkpoints(job.folder / "checkpoints", job.keep_checkpoints)
    with strategy.scope():
        model.optimizer.build(model.trainable_variables)
        start = checkpoints.restore(model)
    model.steps_per_execution = job.steps_per_execution
    with (
        stopped_together(stop_file if count > 1 else None) as request,
        reporting(job, checkpoints, start, request, chief) as (reports, end),
        iterators_ended(),
    ):
        for step, initial_epoch, last_epoch, steps in portions(
            start, job.epochs, job.steps_per_epoch
        ):
            if end.made:
                break
            means = KeepRunningMeans(steps < job.steps_per_epoch)
            model.fit(
                distributed(strategy, stream, step),
                epochs=last_epoch,
                initial_epoch=initial_epoch,
                steps_per_epoch=steps,
                validation_data=job.validation_data,
                validation_freq=validated_epochs(job.epochs, job.validations),
                shuffle=False,
                verbose=0,
                callbacks=[means, *job.callbacks, *reports],
            )
        if end.made:
            return checkpoints.position()
    return Position(job.epochs, job.epochs * job.steps_per_epoch)
