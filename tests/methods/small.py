"""Small networks and batches for the tests of methods."""

import keras
import numpy as np

from semivit_tf.backbones.conformer import Conformer
from semivit_tf.backbones.convnext import ConvNeXt
from semivit_tf.backbones.resnet import ResNet, WideResNet
from semivit_tf.backbones.semiformer import SemiformerBackbone
from semivit_tf.backbones.vit import ViT


def small_vit(**options):
    """A ViT for 8x8 grey images with about 4,000 weights.

    Each block costs a second of tracing, so there is one; with drop path, which spares
    the first block, there are two.
    """
    depth = 2 if options.get("drop_path") else 1
    arguments = {"image_size": 8, "patch_size": 4, "width": 16, "depth": depth}
    arguments |= {"heads": 2}
    return ViT(**{**arguments, "channels": 1, "name": "vit", **options})


def small_network():
    """Two dense layers and a norm for 8x8 grey images, which are traced in no time."""
    images = keras.Input((8, 8, 1))
    features = keras.layers.Flatten()(keras.layers.Rescaling(1 / 255)(images))
    features = keras.layers.Dense(16, activation="gelu", name="dense0")(features)
    features = keras.layers.LayerNormalization(name="norm")(features)
    features = keras.layers.Dense(16, activation="gelu", name="dense1")(features)
    return keras.Model(images, features, name="network")


def small_convnext(**options):
    """A ConvNeXt for 8x8 grey images with about 4,000 weights."""
    arguments = {"image_size": 8, "depths": (1, 2), "widths": (8, 12)}
    return ConvNeXt(**{**arguments, "channels": 1, "stem_patch": 2, **options})


def hub_preset(folder, scale=None, offset=None):
    """Saves a preset of KerasHub, a ViT for 8x8 colour images; returns its folder."""
    import keras_hub

    network = keras_hub.models.ViTBackbone(
        image_shape=(8, 8, 3),
        patch_size=(4, 4),
        num_layers=1,
        num_heads=2,
        hidden_dim=16,
        mlp_dim=32,
    )
    network.save_to_preset(str(folder))
    converter = keras_hub.layers.ViTImageConverter(scale=scale, offset=offset)
    converter.save_to_preset(str(folder))
    return folder


def semi_batch(labeled=4, unlabeled=12, seed=0, classes=3):
    """A semi-supervised batch of noise, with all views and an index."""
    generator = np.random.default_rng(seed)

    def images(count):
        return generator.uniform(0, 255, (count, 8, 8, 1)).astype("float32")

    views = {
        "image": images(labeled),
        "weak": images(unlabeled),
        "strong": images(unlabeled),
        "unlabeled_label": generator.integers(0, classes, unlabeled).astype("int32"),
    }
    labels = generator.integers(0, classes, labeled).astype("int32")
    index = np.arange(unlabeled)
    return {**views, "weak2": images(unlabeled), "index": index}, labels


def loss_and_terms(model, batch):
    """What a method makes of a whole batch, outside of a training step."""
    return model.objective(model.prepare(batch))


def crop_batch(images=4, local=3, seed=0):
    """A batch of crops of noise: two global ones of 8x8, local ones of 4x4."""
    generator = np.random.default_rng(seed)

    def crops(count, side):
        shape = (images, count, side, side, 1)
        return generator.uniform(0, 255, shape).astype("float32")

    batch = {"global": crops(2, 8)}
    return {**batch, "local": crops(local, 4)} if local else batch


def sharpen(model, scale=50.0):
    """Gives a network's head weights of a size that makes confident predictions."""
    kernel = model.head.kernel
    kernel.assign(keras.random.normal(kernel.shape, stddev=scale / 16, seed=1))


def small_resnet(**options):
    """A ResNet for 8x8 grey images with about 3,000 weights."""
    arguments = {"image_size": 8, "depths": (1, 1), "widths": (16, 24)}
    arguments |= {"stem_width": 4, "stem_stride": 1, "channels": 1}
    return ResNet(**{**arguments, **options})


def small_wide_resnet(**options):
    """A wide ResNet for 8x8 grey images with about 5,000 weights."""
    arguments = {"image_size": 8, "depths": (1, 1), "widths": (8, 12)}
    return WideResNet(**{**arguments, "stem_width": 4, "channels": 1, **options})


TWO_STREAMS = {
    **{"image_size": 8, "patch_size": 4, "width": 12, "heads": 2, "channels": 1},
    **{"depths": (1, 1), "widths": (8, 16), "stem_width": 6, "stem_stride": 2},
}


def small_conformer(**options):
    """A Conformer for 8x8 grey images with about 6,000 weights."""
    return Conformer(**{**TWO_STREAMS, **options})


def small_semiformer(**options):
    """A Semiformer for 8x8 grey images with about 6,000 weights."""
    return SemiformerBackbone(**{**TWO_STREAMS, **options})
