"""The kind of stage that learns from labelled and unlabelled images together."""

import dataclasses

import numpy as np

from semivit_tf.methods.effective_classes import EffectiveClasses
from semivit_tf.methods.ema_teacher import EMATeacher
from semivit_tf.methods.gating import reason_for_all_rows
from semivit_tf.methods.mixings import MIXINGS
from semivit_tf.methods.selections import SELECTIONS
from semivit_tf.methods.semi_methods import SEMI_METHODS
from semivit_tf.stages.batch_sizes import Batch
from semivit_tf.stages.foreign import check_dropped, without_foreign
from semivit_tf.stages.memory import labeled_need
from semivit_tf.stages.starting_weights import (
    follow_student,
    load_classifier,
    load_file,
    starting_weights,
)
from semivit_tf.stages.training import Training, TrainingKind
from semivit_tf.training.collapse import CollapseAlarm
from semivit_tf.training.schedules import Annealing, Cosine, Ramp
from semivit_tf.training.weight_files import save_weights

_GATED = {"auto": "auto", "on": True, "off": False}


def semi_method(settings, student, steps, images=None, shown=None):
    """Builds the method that the settings are of, around a student.

    Args:
        settings: Settings of a method.
        student: `Classifier`.
        steps: Integer. Of the whole stage.
        images: Integer. Images of the source that unlabelled ones are in.
        shown: Integer. Unlabelled images.
    """
    options = settings.own()
    if settings.selection:
        selection, chosen = SELECTIONS[settings.selection], {}
        if getattr(selection, "remembers_images", False):
            chosen = {"images": images, "shown": shown}
        options["selection"] = selection(**settings.of_part("selection"), **chosen)
    if settings.mixing:
        options["mixing"] = MIXINGS[settings.mixing](**settings.of_part("mixing"))
    if settings.labeler:
        options["labeler"] = settings.labeler
    if settings.unlabeled_weight is not None:
        options["unlabeled_weight"] = _unlabeled_weight(settings, steps)
    if "annealing" in options:
        kind = options["annealing"]
        options["annealing"] = None if kind == "none" else Annealing(kind, steps)
    return SEMI_METHODS[settings.name](
        student,
        label_smoothing=settings.label_smoothing,
        mixup_alpha=settings.mixup_alpha,
        cutmix_alpha=settings.cutmix_alpha,
        **options,
    )


def _unlabeled_weight(settings, steps):
    weight, share = settings.unlabeled_weight, settings.unlabeled_ramp
    return Ramp(weight, max(1, round(share * steps))) if share else weight


def _images(run):
    """Returns how many images the source has, and how many of them are unlabelled."""
    return len(run.data.parts.train.labels), len(run.data.unlabeled_indices)


def _unlabeled_batch_size(settings):
    return settings.batch_size * settings.unlabeled_per_labeled


class SemiFinetune(TrainingKind):
    """Semi-supervised fine-tuning of a student and its teacher."""

    labels_images = True

    def from_scratch(self, settings):
        return settings.from_scratch

    def needs_weights(self, settings):
        return not settings.from_scratch

    def check(self, run, stage):
        check_dropped(run, stage)
        return super().check(run, stage)

    def learns_from(self, run, stage):
        return without_foreign(run, stage)

    def carry_out(self, run, stage):
        if not run.stage_folder(stage).done:
            before, run = len(run.data.split.unlabeled), self.learns_from(run, stage)
            left = len(run.data.split.unlabeled)
            if left < before:
                run.say(
                    f"{stage.name}: without {before - left} foreign images, {left} "
                    "unlabelled ones are left"
                )
        super().carry_out(run, stage)

    def batches(self, settings, data):
        times = settings.unlabeled_per_labeled
        return [
            Batch("labelled images", len(data.split.labeled), repeats=True),
            Batch(
                "unlabelled images",
                len(data.unlabeled_indices),
                times,
                "unlabeled_per_labeled",
            ),
        ]

    def network(self, run, stage):
        settings = run.settings(stage)
        student = run.classifier(settings.drop_path, run.method_settings(stage))
        if settings.gated == "on":
            strategy = type(run.strategy).__name__
            reason = reason_for_all_rows(student, run.compiles_by_xla(True), strategy)
            if reason:
                flag = settings.flag("gated")
                raise ValueError(f"--{flag}=on cannot be had: {reason}")
        return student

    def prepare(self, run, stage):
        settings, chosen = run.settings(stage), run.method_settings(stage)
        unlabeled = _unlabeled_batch_size(settings)
        steps = settings.steps(len(run.data.unlabeled_indices), unlabeled)
        run.seed_stage(stage)
        with run.strategy.scope():
            student, total = self.network(run, stage), settings.epochs * steps
            model = semi_method(chosen, student, total, *_images(run))
            optimizer = run.optimizer(model, settings, steps)
            run.compile(model, optimizer, settings, gated=_GATED[settings.gated])
        read = unlabeled if model.unlabeled_views else 0
        momentum = chosen.ema_momentum
        if chosen.ema_schedule == "cosine":
            momentum = Cosine(momentum, 1.0, total)
        return Training(
            model,
            lambda step, shard=(0, 1): self.balanced(
                run,
                stage,
                run.data.semi_supervised(
                    settings.batch_size,
                    settings.unlabeled_per_labeled,
                    step,
                    shard,
                    unlabeled_views=model.unlabeled_views,
                    labeled_view=chosen.labeled_view,
                    erasing=settings.erasing,
                ),
            ),
            epochs=settings.epochs,
            steps_per_epoch=steps,
            images_per_step=settings.batch_size + read,
            callbacks=[
                EMATeacher(momentum),
                *self.warnings(run, stage),
                *self.alarms(run, stage, steps * unlabeled),
            ],
            best=(model.answers, model.selecting_metric),
        )

    def alarms(self, run, stage, images):
        """Returns the callback that watches the pseudo labels of an epoch's images."""
        settings, chosen = run.settings(stage), run.method_settings(stage)
        if chosen.selection is None or run.num_classes < 2:
            return []
        labels = run.data.parts.train.labels[run.data.split.labeled]
        spread = EffectiveClasses(run.num_classes)
        spread.update_state(np.bincount(labels, minlength=run.num_classes))
        advice = f"more epochs of stage 2 or --{chosen.flag('unlabeled_ramp')}=0.4"
        if chosen.threshold is not None:
            advice = f"a higher --{chosen.flag('threshold')}, {advice}"
        stop = settings.stop_on_collapse
        if not run.is_chief and not stop:
            return []
        return [CollapseAlarm(stage.name, images, float(spread.result()), advice, stop)]

    def method(self, run, stage, network):
        return semi_method(run.method_settings(stage), network, 1, *_images(run))

    def need(self, run, stage, method):
        settings = run.settings(stage)
        unlabeled = _unlabeled_batch_size(settings) * bool(method.unlabeled_views)
        learned = settings.batch_size + unlabeled
        seen = settings.batch_size + len(method.unlabeled_views) * unlabeled
        need = labeled_need(
            run,
            method.student,
            learned,
            views=seen / learned,
            averaged=True,
            gated=_GATED[settings.gated],
            scored=unlabeled,
        )
        if need is None:
            return None
        trained = [v.shape.num_elements() for v in method.trainable_variables]
        kept = need.kept + unlabeled * method.further_values()
        return dataclasses.replace(need, trained=sum(trained), kept=kept)

    def load_file(self, run, stage, network):
        load_file(run, network, head="keep")  # a fine-tuned network

    def initialise(self, run, stage, model):
        source = starting_weights(run, stage)
        if source.stage:
            load_classifier(run, source.stage, model)
        elif source.file:
            self.load_file(run, stage, model.student)
            follow_student(model)

    def networks(self, settings):
        return ("student", "teacher")

    def answers(self, settings):
        return SEMI_METHODS[settings.method].answers

    def what_may_help(self, settings):
        views = SEMI_METHODS[settings.method].unlabeled_views
        return "Unlabelled images" if views else super().what_may_help(settings)

    def keep(self, run, stage, model, checkpoint):
        folder = run.stage_folder(stage)
        save_weights(model.student, folder.weights("student", checkpoint))
        save_weights(model.teacher, folder.weights("teacher", checkpoint))

    def summary(self, settings):
        return {"method": settings.method}
