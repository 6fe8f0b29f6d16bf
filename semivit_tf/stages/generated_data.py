"""The data of stages that learn what earlier ones made: pseudo labels, new images."""

import dataclasses

import numpy as np

from semivit_tf.data.label_splits import LabelSplit
from semivit_tf.data.made_sources import extended, relabeled
from semivit_tf.stages.generate import read_images
from semivit_tf.stages.pseudo_label import FILE, read_labels
from semivit_tf.stages.run_data import dataset_of


def with_pseudo_labels(name):
    """Returns the `data` of a stage: all training images with a stage's labels.

    Images are shown as they are evaluated. True labels stay with validation images
    alone.

    Args:
        name: Name of the stage that labelled them.
    """

    def data(run):
        parts, split = run.data.parts, run.data.split
        file = run.folder.stage(name).path / FILE
        indices, labels = read_labels(file, len(parts.train))
        labels[split.validation] = parts.train.labels[split.validation]
        parts = dataclasses.replace(parts, train=relabeled(parts.train, labels))
        split = LabelSplit(np.sort(indices), indices[:0], split.validation)
        plain = {"rand_augment": None, "erasing": None, "strong_layer": None}
        return dataset_of(run.config, parts, split, augmentation="none", **plain)

    return data


def with_generated_images(name):
    """Returns the `data` of a stage: the run's, and generated images as labelled ones.

    Args:
        name: Name of the stage that generated them.
    """

    def data(run):
        parts, split = run.data.parts, run.data.split
        images, labels = read_images(run.folder.stage(name).path)
        if not len(images):
            return run.data
        start = len(parts.train)
        train = extended(parts.train, images, labels)
        places = start + np.arange(len(images))
        split = LabelSplit(
            np.append(split.labeled, places), split.unlabeled, split.validation
        )
        return dataset_of(run.config, dataclasses.replace(parts, train=train), split)

    return data
