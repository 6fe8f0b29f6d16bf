"""Stage 2: encoder and head learn from the labelled images."""

from semivit_tf.methods.averaged_classifier import AveragedClassifier
from semivit_tf.methods.ema_teacher import EMATeacher
from semivit_tf.training.weight_files import load_weights, save_weights

STAGE = "finetune"


def batches(run):
    """Returns `(flag, size, available, images)` of the batches that are needed."""
    size, available = run.config.finetune.batch_size, len(run.data.split.labeled)
    return [("finetune_batch_size", size, available, "labelled images")]


def network(run):
    """Builds the classifier."""
    return run.classifier(run.config.finetune)


def start(run, model):
    """Loads `--init_from`: the backbone, and the head if it fits."""
    run.load_initial(model)


def train(run):
    """Trains a classifier, from the pre-trained encoder if there is one."""
    settings = run.config.finetune
    steps = len(run.data.split.labeled) // settings.batch_size
    pretrained = run.folder.stage("pretrain")
    run.seed_stage(STAGE)
    with run.strategy.scope():
        model = network(run)
        if pretrained.done:
            # Averaged features are normalised after pooling, by a norm that is new.
            fresh = ("norm/",) if model.backbone.pooling == "mean" else ()
            load_weights(model.backbone, pretrained.weights("encoder"), skip=fresh)
        elif run.starts_from_file(STAGE):
            start(run, model)
        best, callbacks = ("student", "val_accuracy"), []
        if settings.ema_momentum is not None:
            model = AveragedClassifier(model)
            best = ("teacher", "val_teacher_accuracy")
            callbacks = [EMATeacher(settings.ema_momentum)]
        run.compile(model, run.optimizer(model, settings, steps), settings)
    run.train(
        model,
        lambda step: run.data.labeled(
            settings.batch_size, start_step=step, erasing=settings.erasing
        ),
        stage=STAGE,
        settings=settings,
        steps_per_epoch=steps,
        best=best,
        callbacks=callbacks,
    )
    folder = run.folder.stage(STAGE)
    save_weights(getattr(model, "student", model), folder.weights("student"))
    if settings.ema_momentum is not None:
        save_weights(model.teacher, folder.weights("teacher"))
    folder.finish(started_from="pretrain" if pretrained.done else "scratch")
