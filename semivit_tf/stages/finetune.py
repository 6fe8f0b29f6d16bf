"""Stage 2: encoder and head learn from the labelled images."""

from semivit_tf.methods.averaged_classifier import AveragedClassifier
from semivit_tf.methods.ema_teacher import EMATeacher
from semivit_tf.stages.training import Training
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


def prepare(run, fresh=False):
    """Builds and compiles a classifier; see `Training`.

    It starts from the pre-trained encoder if there is one.

    Args:
        run: `Run`.
        fresh: Bool. Whether to leave out the weights that the stage starts from.
    """
    settings = run.config.finetune
    steps = len(run.data.split.labeled) // settings.batch_size
    pretrained = run.folder.stage("pretrain")
    run.seed_stage(STAGE)
    with run.strategy.scope():
        model = network(run)
        if fresh:
            pass
        elif pretrained.done:
            # Averaged features are normalised after pooling, by a norm that is new.
            skipped = ("norm/",) if model.backbone.pooling == "mean" else ()
            load_weights(model.backbone, pretrained.weights("encoder"), skip=skipped)
        elif run.starts_from_file(STAGE):
            start(run, model)
        best, callbacks = ("student", "val_accuracy"), []
        if settings.ema_momentum is not None:
            model = AveragedClassifier(model)
            best = ("teacher", "val_teacher_accuracy")
            callbacks = [EMATeacher(settings.ema_momentum)]
        run.compile(model, run.optimizer(model, settings, steps), settings)
    return Training(
        model,
        lambda step, shard=(0, 1): run.data.labeled(
            settings.batch_size, step, shard, erasing=settings.erasing
        ),
        epochs=settings.epochs,
        steps_per_epoch=steps,
        images_per_step=settings.batch_size,
        best=best,
        callbacks=callbacks,
    )


def keep(run, model):
    """Keeps the classifier, and its average if there is one."""
    folder = run.folder.stage(STAGE)
    save_weights(getattr(model, "student", model), folder.weights("student"))
    if hasattr(model, "teacher"):
        save_weights(model.teacher, folder.weights("teacher"))
    started_from = "scratch"
    if run.folder.stage("pretrain").done:
        started_from = "pretrain"
    elif run.starts_from_file(STAGE):
        started_from = run.config.backbone.init_from
    folder.finish(started_from=started_from)
