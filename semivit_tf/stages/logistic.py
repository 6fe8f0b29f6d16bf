"""The kind of stage that classifies frozen features by logistic regression.

Each feature vector is centred and brought to unit length, and classes have no bias. A
ViT's last norm, scale * LN(z) + offset, does the same to z but for a factor, so that
this classifier is a linear head on what the norm returns: it can be labelled with,
evaluated and exported as any other.
"""

import numpy as np
import tensorflow as tf

from semivit_tf.backbones.vit import ViT
from semivit_tf.config.settings import InputError
from semivit_tf.evaluation.features import extract_features
from semivit_tf.evaluation.linear_probe import fit_softmax
from semivit_tf.stages.failures import input_errors
from semivit_tf.stages.finetune import Finetune
from semivit_tf.stages.stage import Kind
from semivit_tf.stages.starting_weights import (
    Source,
    refuse_unfinished,
    starting_weights,
)
from semivit_tf.training.weight_files import save_weights

_PENALTY = 0.0025  # over the number of images
_STEPS = 10_000


class Logistic(Kind):
    """Fits a head without bias to features of an encoder that stays as it is.

    Reference:
        Assran et al., Masked Siamese Networks for Label-Efficient Learning, 2022.
    """

    def networks(self, settings):
        """Returns the names of the networks that are kept."""
        return ("student",)

    def answers(self, settings):
        """Returns which of them answers."""
        return "student"

    def check(self, run, stage):
        refuse_unfinished(run, stage)
        with input_errors():
            classifier = run.classifier()
            if not isinstance(classifier.backbone, ViT):
                raise InputError(
                    f"--stages={stage.name} needs a ViT, whose features are "
                    f"normalised. Received: --backbone={run.config.backbone.backbone}"
                )
            source = starting_weights(run, stage)
            if source == Source():
                raise InputError(
                    f"--stages={stage.name} needs features: the stage "
                    f"{' or '.join(stage.starts_from)}, or --init_from"
                )
            if source.file and not run.stage_folder(stage).done:
                Finetune().load_file(run.quiet(), stage, classifier)
        return run

    def carry_out(self, run, stage):
        if run.did_before(stage):
            return
        run.seed_stage(stage)
        classifier = run.classifier()
        Finetune().initialise(run, stage, classifier)
        images = run.data.split.labeled
        classify(classifier, run.data.as_evaluated(images))
        folder = run.stage_folder(stage)
        save_weights(classifier, folder.weights("student"))
        folder.finish(started_from=starting_weights(run, stage).name)
        run.say(f"{stage.name}: {len(images)} images")


def classify(classifier, batches):
    """Gives a classifier on a ViT the head that fits its features best.

    Args:
        classifier: `Classifier`.
        batches: Iterable of `(images, labels)`, one pass.
    """
    network = classifier.backbone
    encode = tf.function(
        lambda images: network(images, training=False), reduce_retracing=True
    )
    features, labels = extract_features(encode, batches)
    scale, offset = (
        np.asarray(variable) for variable in (network.norm.gamma, network.norm.beta)
    )
    scale = np.where(np.abs(scale) < 1e-6, 1e-6, scale)
    # LN(z) has the squared length D.
    length = np.sqrt(features.shape[1])
    matrix = fit_softmax(
        (features - offset) / (scale * length),
        labels,
        classifier.num_classes,
        _PENALTY / len(labels),
        steps=_STEPS,
        intercept=False,
    )
    kernel = matrix[:-1] / (scale * length)[:, None]
    classifier.head.kernel.assign(kernel)
    classifier.head.bias.assign(-offset @ kernel)
