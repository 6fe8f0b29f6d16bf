"""The kind of stage in which encoder and head learn from the labelled images."""

from semivit_tf.contracts import StudentAndTeacher, student_of
from semivit_tf.methods.averaged_classifier import AveragedClassifier
from semivit_tf.methods.classifier import Classifier
from semivit_tf.methods.ema_teacher import EMATeacher
from semivit_tf.stages.batch_sizes import Batch
from semivit_tf.stages.memory import labeled_need
from semivit_tf.stages.starting_weights import (
    follow_student,
    handed_on,
    load_classifier,
    load_file,
    starting_weights,
)
from semivit_tf.stages.training import Training, TrainingKind
from semivit_tf.training.weight_files import load_weights, save_weights


class Finetune(TrainingKind):
    """Supervised fine-tuning, with a moving average of the weights if asked for."""

    def batches(self, settings, data):
        return [Batch("labelled images", len(data.split.labeled), repeats=True)]

    def network(self, run, stage):
        settings = run.settings(stage)
        return run.classifier(settings.drop_path, settings)

    def prepare(self, run, stage):
        settings = run.settings(stage)
        steps = settings.steps(len(run.data.split.labeled), settings.batch_size)
        run.seed_stage(stage)
        callbacks = []
        with run.strategy.scope():
            model = self.network(run, stage)
            if settings.ema_momentum is not None:
                model = AveragedClassifier(model)
                callbacks = [EMATeacher(settings.ema_momentum)]
            optimizer = run.optimizer(model, settings, steps)
            run.compile(model, optimizer, settings)
        return Training(
            model,
            lambda step, shard=(0, 1): self.balanced(
                run,
                stage,
                run.data.labeled(
                    settings.batch_size, step, shard, erasing=settings.erasing
                ),
            ),
            epochs=settings.epochs,
            steps_per_epoch=steps,
            images_per_step=settings.batch_size,
            callbacks=[*callbacks, *self.warnings(run, stage)],
            best=(model.answers, model.selecting_metric),
        )

    def need(self, run, stage, network):
        settings = run.settings(stage)
        averaged = settings.ema_momentum is not None
        return labeled_need(run, network, settings.batch_size, 1, averaged)

    def load_file(self, run, stage, network):
        load_file(run, network)  # the head too, if it fits

    def initialise(self, run, stage, model):
        source = starting_weights(run, stage)
        student = student_of(model)
        if source.file:
            self.load_file(run, stage, student)
        elif source.stage and "encoder" in run.networks(source.stage):
            # Averaged features are normalised after pooling, by a norm that is new.
            skipped = ("norm/",) if student.backbone.pooling == "mean" else ()
            encoder = handed_on(run, source.stage, "encoder")
            load_weights(student.backbone, encoder, skip=skipped)
        elif source.stage:
            load_classifier(run, source.stage, model)
            return
        follow_student(model)

    def networks(self, settings):
        averaged = settings.ema_momentum is not None
        return ("student", "teacher") if averaged else ("student",)

    def answers(self, settings):
        averaged = settings.ema_momentum is not None
        return (AveragedClassifier if averaged else Classifier).answers

    def keep(self, run, stage, model, checkpoint):
        folder = run.stage_folder(stage)
        save_weights(student_of(model), folder.weights("student", checkpoint))
        if isinstance(model, StudentAndTeacher):
            save_weights(model.teacher, folder.weights("teacher", checkpoint))
