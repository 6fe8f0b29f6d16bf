"""Probabilistic pseudo mixup, as Semi-ViT mixes."""

import dataclasses

import keras
from keras import ops

from semivit_tf.augment.mixing import draw_pairs, mix_by_confidence
from semivit_tf.methods.mixings.mixing import Mixing


@keras.saving.register_keras_serializable(package="semivit_tf")
@dataclasses.dataclass(frozen=True)
class ProbabilisticMixing(Mixing):
    """Mixes each image with a random other one, by how sure the labeler is of both.

    A mixed image counts as much as the one of both that counts more: a doubtful image
    still teaches something where a confident one leads.

    Args:
        cutmix_probability: Float. Each image's chance of cutmix instead of mixup.
    """

    cutmix_probability: float = 0.5

    def __call__(self, images, targets, confidence, weight, seed=None):
        pairs = draw_pairs(images, self.cutmix_probability, seed)
        mixed, targets = mix_by_confidence(images, targets, confidence, *pairs)
        return mixed, targets, ops.maximum(weight, ops.take(weight, pairs[0]))
