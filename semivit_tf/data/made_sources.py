"""Sources made of others: with other labels, or with generated images at the end."""

import copy

import numpy as np
import tensorflow as tf

from semivit_tf.data.array_source import ArraySource, take_images
from semivit_tf.data.encoded_source import EncodedSource
from semivit_tf.data.joined_source import JoinedSource


def relabeled(source, labels):
    """Returns the images of a source with other labels.

    Args:
        source: `ArraySource` or `EncodedSource`.
        labels: Integer array `[N]`; -1 where unknown.
    """
    other = copy.copy(source)
    other.labels = np.asarray(labels, "int32")
    return other


class EncodedArray(EncodedSource):
    """Images in memory, given as the contents of PNG files.

    Args:
        images: uint8 array `[N, H, W, C]`.
        labels: Integer array `[N]`.
        class_names: Sequence of K strings.
    """

    def __init__(self, images, labels, class_names):
        super().__init__(labels, class_names)
        self.images = np.asarray(images, "uint8")

    def name(self, index):
        return f"generated image {index}"

    def contents(self, index):
        return tf.io.encode_png(take_images(self.images, index))


def extended(source, images, labels):
    """Returns a source with further images after its own.

    Args:
        source: `ArraySource` or `EncodedSource`.
        images: uint8 array `[M, H, W, C]`.
        labels: Integer array `[M]`.
    """
    if isinstance(source, ArraySource):
        return ArraySource(
            np.concatenate([source.images, images]),
            np.concatenate([source.labels, labels]),
            source.class_names,
        )
    return JoinedSource([source, EncodedArray(images, labels, source.class_names)])
