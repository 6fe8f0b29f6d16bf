"""The kind of stage that learns from labelled and unlabelled images together."""

from semivit_tf.methods.ema_teacher import EMATeacher
from semivit_tf.methods.gating import reason_for_all_rows
from semivit_tf.methods.semi_vit import SemiViT
from semivit_tf.stages.batch_sizes import Batch
from semivit_tf.stages.starting_weights import (
    follow_student,
    load_classifier,
    load_file,
    starting_weights,
)
from semivit_tf.stages.training import Training, TrainingKind
from semivit_tf.training.schedules import Cosine
from semivit_tf.training.weight_files import save_weights

_GATED = {"auto": "auto", "on": True, "off": False}


def semi_method(settings, student):
    """Builds the method that the settings choose around a student."""
    return SemiViT(
        student,
        threshold=settings.threshold,
        cutmix_probability=settings.cutmix_probability,
        unlabeled_weight=settings.unlabeled_weight,
    )


def _unlabeled_batch_size(settings):
    return settings.batch_size * settings.unlabeled_per_labeled


class SemiFinetune(TrainingKind):
    """Semi-supervised fine-tuning of a student and its teacher."""

    def needs_weights(self, settings):
        return True

    def batches(self, settings, data):
        times = settings.unlabeled_per_labeled
        return [
            Batch("labelled images", len(data.split.labeled)),
            Batch(
                "unlabelled images",
                len(data.unlabeled_indices),
                times,
                "unlabeled_per_labeled",
            ),
        ]

    def network(self, run, stage):
        settings = run.settings(stage)
        student = run.classifier(settings)
        if settings.gated == "on":
            strategy = type(run.strategy).__name__
            reason = reason_for_all_rows(student, run.compiles_by_xla(True), strategy)
            if reason:
                flag = settings.flag("gated")
                raise ValueError(f"--{flag}=on cannot be had: {reason}")
        return student

    def prepare(self, run, stage):
        settings = run.settings(stage)
        unlabeled = _unlabeled_batch_size(settings)
        steps = run.data.steps_per_epoch(unlabeled)
        momentum = settings.ema_momentum
        if settings.ema_schedule == "cosine":
            momentum = Cosine(momentum, 1.0, settings.epochs * steps)
        run.seed_stage(stage)
        with run.strategy.scope():
            model = semi_method(settings, self.network(run, stage))
            optimizer = run.optimizer(model, settings, steps)
            run.compile(model, optimizer, settings, gated=_GATED[settings.gated])
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
            callbacks=[EMATeacher(momentum)],
        )

    def load_file(self, run, stage, network):
        load_file(run, network, head="keep")  # a fine-tuned network

    def initialise(self, run, stage, model):
        source = starting_weights(run, stage)
        if source.stage:
            load_classifier(run, source.stage, model)
        else:
            self.load_file(run, stage, model.student)
            follow_student(model)

    def networks(self, settings):
        return ("student", "teacher")

    def best(self, settings):
        return "teacher", "val_teacher_accuracy"

    def keep(self, run, stage, model, checkpoint):
        folder = run.stage_folder(stage)
        save_weights(model.student, folder.weights("student", checkpoint))
        save_weights(model.teacher, folder.weights("teacher", checkpoint))

    def summary(self, settings):
        return {"method": settings.method}
