"""Stage 3: the fine-tuned classifier learns on, from labelled and unlabelled images."""

from semivit_tf.methods.ema_teacher import EMATeacher
from semivit_tf.methods.gating import reason_for_all_rows
from semivit_tf.methods.semi_vit import SemiViT
from semivit_tf.stages.training import Training
from semivit_tf.training.schedules import Cosine
from semivit_tf.training.weight_files import load_weights, save_weights

STAGE = "semi_finetune"


def _unlabeled_batch_size(settings):
    return settings.batch_size * settings.unlabeled_per_labeled


def batches(run):
    """Returns `(flag, size, available, images)` of the batches that are needed."""
    settings, data = run.config.semi, run.data
    unlabeled = _unlabeled_batch_size(settings)
    flag = "semi_batch_size times --semi_unlabeled_per_labeled"
    return [
        (
            "semi_batch_size",
            settings.batch_size,
            len(data.split.labeled),
            "labelled images",
        ),
        (flag, unlabeled, len(data.unlabeled_indices), "unlabelled images"),
    ]


def network(run):
    """Builds the student, a classifier like that of stage 2."""
    student = run.classifier(run.config.semi)
    if run.config.semi.gated == "on":
        strategy = type(run.strategy).__name__
        reason = reason_for_all_rows(student, run.compiles_by_xla(True), strategy)
        if reason:
            raise ValueError(f"--semi_gated=on cannot be had: {reason}")
    return student


def start(run, model):
    """Loads `--init_from`: a fine-tuned network, of which teacher and student start."""
    run.load_initial(model, head="keep")


def prepare(run, fresh=False):
    """Builds and compiles student and teacher; see `Training`.

    Both start from the weights of stage 2.

    Args:
        run: `Run`.
        fresh: Bool. Whether to leave out the weights that the stage starts from.
    """
    settings = run.config.semi
    unlabeled = _unlabeled_batch_size(settings)
    steps = run.data.steps_per_epoch(unlabeled)
    momentum = settings.ema_momentum
    if settings.ema_schedule == "cosine":
        momentum = Cosine(momentum, 1.0, settings.epochs * steps)
    finetuned = run.folder.stage("finetune")
    run.seed_stage(STAGE)
    with run.strategy.scope():
        student = network(run)
        if fresh:
            pass
        elif run.starts_from_file(STAGE):
            start(run, student)
        else:
            load_weights(student, finetuned.weights("student"))
        model = SemiViT(
            student,
            threshold=settings.threshold,
            cutmix_probability=settings.cutmix_probability,
            unlabeled_weight=settings.unlabeled_weight,
        )
        if finetuned.weights("teacher").exists():
            load_weights(model.teacher, finetuned.weights("teacher"))
        gated = {"auto": "auto", "on": True, "off": False}[settings.gated]
        optimizer = run.optimizer(model, settings, steps)
        run.compile(model, optimizer, settings, gated=gated)
    return Training(
        model,
        lambda step, shard=(0, 1): run.data.semi_supervised(
            settings.batch_size,
            settings.unlabeled_per_labeled,
            step,
            shard,
            erasing=settings.erasing,
        ),
        epochs=settings.epochs,
        steps_per_epoch=steps,
        images_per_step=settings.batch_size + unlabeled,
        best=("teacher", "val_teacher_accuracy"),
        callbacks=[EMATeacher(momentum)],
    )


def keep(run, model):
    """Keeps student and teacher."""
    folder = run.folder.stage(STAGE)
    save_weights(model.student, folder.weights("student"))
    save_weights(model.teacher, folder.weights("teacher"))
    folder.finish(method=run.config.semi.method)
