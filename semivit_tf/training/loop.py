"""How does a stage train? By `fit`, from the last checkpoint, with its files."""

import contextlib
import gc
import traceback

from semivit_tf.training.checkpoints import Checkpoints, SaveCheckpoints
from semivit_tf.training.distribution import WORKER_ENDED, distributed, workers
from semivit_tf.training.metrics_log import MetricsLog
from semivit_tf.training.non_finite import StopOnNonFiniteLoss
from semivit_tf.training.progress import Progress
from semivit_tf.training.running_means import KeepRunningMeans
from semivit_tf.training.stopping import (
    PassStopOn,
    SharedStopRequest,
    Stopped,
    finishing_first,
)

# With several workers: it is there when one of them was asked to stop.
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
    "val_teacher_accuracy",
)


def validated_epochs(epochs, validations):
    """Returns the numbers of about so many epochs, the last one always among them."""
    every = max(1, epochs // validations)
    return [number for number in range(1, epochs + 1) if (epochs - number) % every == 0]


def portions(position, epochs, steps_per_epoch):
    """Splits what is left into calls of `fit`: the rest of an epoch begun comes first.

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
def stopped_together(request):
    """Raises `Stopped` where another worker has stopped, as all were asked to.

    Args:
        request: `SharedStopRequest`.
    """
    try:
        yield
    except WORKER_ENDED as error:
        if request.made:
            raise Stopped from error
        raise
    if request.made:
        raise Stopped


@contextlib.contextmanager
def iterators_ended():
    """Ends the data streams of a `fit` that fails.

    One that is alive when Python exits waits, maybe forever, for threads that Python
    does not run any more.
    """
    try:
        yield
    except BaseException as error:
        traceback.clear_frames(error.__traceback__)
        gc.collect()
        raise


def train(
    model,
    stream,
    *,
    stage,
    folder,
    epochs,
    steps_per_epoch,
    steps_per_execution=1,
    validation_data=None,
    validations=20,
    checkpoint_seconds=60.0,
    checkpoint_steps=None,
    keep_checkpoints=2,
    best=None,
    callbacks=(),
):
    """Trains a compiled model for a number of epochs, continuing what was stopped.

    Args:
        model: A compiled method.
        stream: Function from a start step, and a worker's shard where there are
            several, to an endless data set.
        stage: String, for the progress line.
        folder: Path for `checkpoints/`, `metrics.jsonl` and `tensorboard/`.
        epochs: Integer.
        steps_per_epoch: Integer.
        steps_per_execution: Integer. Python is asked again after so many steps, and
            at the end of an epoch.
        validation_data: Optional data set.
        validations: Integer. About how often it is looked at.
        checkpoint_seconds: Float.
        checkpoint_steps: Optional integer.
        keep_checkpoints: Integer. How many of the latest are kept.
        best: Optional tuple `(name, metric)`, see `SaveCheckpoints`.
        callbacks: Further callbacks.
    """
    strategy = model.distribute_strategy
    number, count = workers(strategy)
    chief = number == 0
    if chief:
        (folder / _STOP).unlink(missing_ok=True)
    with strategy.scope():
        model.optimizer.build(model.trainable_variables)
        checkpoints = Checkpoints(folder / "checkpoints", keep_checkpoints)
        start = checkpoints.restore(model)
    model.steps_per_execution = steps_per_execution
    non_finite = StopOnNonFiniteLoss(stage)
    with (
        finishing_first() as own_request,
        contextlib.ExitStack() as stack,
        iterators_ended(),
    ):
        request = SharedStopRequest(own_request, folder / _STOP if count > 1 else None)
        stack.enter_context(stopped_together(request))
        save = SaveCheckpoints(
            checkpoints,
            start,
            epochs,
            steps_per_epoch,
            seconds=checkpoint_seconds,
            steps=checkpoint_steps,
            best=best,
            check=non_finite.check,
            stop=lambda: request.made,
        )
        told = [non_finite]
        if chief:  # the others have nothing to say and nowhere to write
            log = stack.enter_context(MetricsLog(folder, start.epoch))
            progress = Progress(stage, epochs, steps_per_epoch, _SHOWN, start.step)
            told += [log, save, progress]
        else:
            told.append(PassStopOn(request))
        for step, initial_epoch, last_epoch, steps in portions(
            start, epochs, steps_per_epoch
        ):
            model.fit(
                distributed(strategy, stream, step),
                epochs=last_epoch,
                initial_epoch=initial_epoch,
                steps_per_epoch=steps,
                validation_data=validation_data,
                validation_freq=validated_epochs(epochs, validations),
                shuffle=False,
                verbose=0,
                callbacks=[
                    KeepRunningMeans(steps < steps_per_epoch),
                    *callbacks,
                    *told,
                ],
            )
