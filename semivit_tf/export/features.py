"""The features of a classifier: what its head makes answers of."""

import tensorflow as tf

from semivit_tf.contracts import HasHead, OnBackbone, backbone_of


def features_of(network, images):
    """Returns features `[B, D]`, float32; see `side_by_side`.

    Args:
        network: Built classifier on a backbone.
        images: Tensor `[B, H, W, C]` in [0, 255].
    """
    return side_by_side(backbone_of(network)(images, training=False))


def features_and_logits(network, images):
    """Returns features `[B, D]` and logits `[B, K]`, float32, of one pass.

    Args:
        network: Built classifier on a backbone, or any network to logits, which are its
            features then.
        images: Tensor `[B, H, W, C]` in [0, 255].
    """
    if not (isinstance(network, OnBackbone) and isinstance(network, HasHead)):
        logits = tf.cast(network(images, training=False), tf.float32)
        return logits, logits
    features = network.backbone(images, training=False)
    logits = tf.cast(network.head(features), tf.float32)
    if logits.shape.rank == 3:  # of two streams, whose sum answers
        logits = tf.reduce_sum(logits, axis=1)
    return side_by_side(features), logits


def side_by_side(features):
    """Returns the output of a backbone as float32, that of two streams joined."""
    if isinstance(features, (tuple, list)):
        return tf.concat([tf.cast(one, tf.float32) for one in features], axis=1)
    return tf.cast(features, tf.float32)
