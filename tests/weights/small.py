"""Small networks of the sizes of the committed files."""

import numpy as np

from semivit_tf.backbones.vit import ViT
from semivit_tf.methods.classifier import Classifier
from semivit_tf.methods.mae import MAE


def vit(pooling="class_token", image_size=16, **options):
    sizes = {"patch_size": 4, "width": 16, "depth": 2, "heads": 2}
    return ViT(image_size, pooling=pooling, **{**sizes, **options})


def classifier(*arguments, classes=3, **options):
    return Classifier(vit(*arguments, **options), classes)


def mae(**options):
    backbone = vit("mean", **options)
    return MAE(backbone, decoder_width=8, decoder_depth=1, decoder_heads=2)


def snapshot(model):
    return [weight.numpy() for weight in model.weights]


def unchanged(model, before):
    assert len(before) == len(model.weights) > 0
    for weight, old in zip(model.weights, before, strict=True):
        np.testing.assert_array_equal(weight, old)
