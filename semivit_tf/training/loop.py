"""How does a stage train? By `fit`, from the last checkpoint, with its files."""

from semivit_tf.training.checkpoints import Checkpoints, SaveCheckpoints
from semivit_tf.training.metrics_log import MetricsLog
from semivit_tf.training.non_finite import StopOnNonFiniteLoss
from semivit_tf.training.progress import Progress

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


def train(
    model,
    stream,
    *,
    stage,
    folder,
    epochs,
    steps_per_epoch,
    validation_data=None,
    validations=20,
    checkpoint_seconds=60.0,
    callbacks=(),
):
    """Trains a compiled model for a number of epochs, continuing what was stopped.

    Args:
        model: A compiled method.
        stream: Function from a start step to an endless data set.
        stage: String, for the progress line.
        folder: Path for `checkpoints/`, `metrics.jsonl` and `tensorboard/`.
        epochs: Integer.
        steps_per_epoch: Integer.
        validation_data: Optional data set.
        validations: Integer. About how often it is looked at.
        checkpoint_seconds: Float.
        callbacks: Further callbacks.
    """
    with model.distribute_strategy.scope():
        model.optimizer.build(model.trainable_variables)
        checkpoints = Checkpoints(folder / "checkpoints")
        initial_epoch, step = checkpoints.restore(model)
    if initial_epoch >= epochs:
        return
    model.fit(
        stream(step),
        epochs=epochs,
        initial_epoch=initial_epoch,
        steps_per_epoch=steps_per_epoch,
        validation_data=validation_data,
        validation_freq=validated_epochs(epochs, validations),
        shuffle=False,
        verbose=0,
        callbacks=[
            *callbacks,
            StopOnNonFiniteLoss(stage),
            MetricsLog(folder, initial_epoch),
            SaveCheckpoints(checkpoints, epochs, checkpoint_seconds),
            Progress(stage, epochs, steps_per_epoch, _SHOWN, initial_epoch),
        ],
    )
