"""The features of a classifier: what its head makes answers of."""

import tensorflow as tf

from semivit_tf.contracts import backbone_of


def features_of(network, images):
    """Returns features `[B, D]`, float32; see `side_by_side`.

    Args:
        network: Built classifier on a backbone.
        images: Tensor `[B, H, W, C]` in [0, 255].
    """
    return side_by_side(backbone_of(network)(images, training=False))


def side_by_side(features):
    """Returns the output of a backbone as float32, that of two streams joined."""
    if isinstance(features, (tuple, list)):
        return tf.concat([tf.cast(one, tf.float32) for one in features], axis=1)
    return tf.cast(features, tf.float32)
