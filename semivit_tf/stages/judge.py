"""The kind of stage in which a small network learns true labels, to judge images."""

import keras
import numpy as np

from semivit_tf.backbones.plain_cnn import plain_cnn
from semivit_tf.data.label_splits import LabelSplit
from semivit_tf.methods.classifier import Classifier
from semivit_tf.stages.batch_sizes import Batch
from semivit_tf.stages.judged_images import describe, judge_images
from semivit_tf.stages.memory import labeled_need
from semivit_tf.stages.optimizers import learning_rates
from semivit_tf.stages.run_data import dataset_of
from semivit_tf.stages.training import TrainingKind, on_labeled_images
from semivit_tf.training.weight_files import save_weights


def with_true_labels(run):
    """Returns the `data` of a judge: all training images, with every label there is.

    Images of an unknown class are its unlabelled ones.
    """
    parts, split = run.data.parts, run.data.split
    images = np.union1d(split.labeled, split.unlabeled)
    known = parts.train.labels[images] >= 0
    split = LabelSplit(images[known], images[~known], split.validation)
    plain = {"rand_augment": "", "erasing": 0.0, "strong_layer": None}
    return dataset_of(run.config, parts, split, **plain)


class Judge(TrainingKind):
    """Judges generated images by a network that nothing else learns from.

    It sees true labels that the other stages must not see: it measures, like a test.
    """

    def from_scratch(self, settings):
        return True

    def batches(self, settings, data):
        return [Batch("images of known classes", len(data.split.labeled), repeats=True)]

    def network(self, run, stage):
        backbone = plain_cnn(run.data.image_shape)
        return Classifier(
            backbone, run.num_classes, label_smoothing=0.0, name="student"
        )

    def prepare(self, run, stage):
        settings = run.settings(stage)
        steps = settings.steps(len(run.data.split.labeled), settings.batch_size)
        run.seed_stage(stage)
        with run.strategy.scope():
            model = self.network(run, stage)
            optimizer = keras.optimizers.AdamW(
                learning_rates(settings, steps),
                weight_decay=settings.weight_decay,
                beta_2=settings.beta_2,
                global_clipnorm=settings.clip_norm,
            )
            run.compile(model, optimizer, settings)
        callbacks = self.warnings(run, stage)
        return on_labeled_images(run, settings, model, steps, callbacks)

    def need(self, run, stage, network):
        images = run.settings(stage).batch_size
        return labeled_need(run, network, images, 1, averaged=False)

    def initialise(self, run, stage, model):
        pass  # from scratch

    def networks(self, settings):
        return ("student",)

    def keep(self, run, stage, model, checkpoint):
        save_weights(model, run.stage_folder(stage).weights("student", checkpoint))

    def carry_out(self, run, stage):
        super().carry_out(run, stage)
        if run.is_chief:
            run.say("\n" + describe(judge_images(run, stage)) + "\n")
