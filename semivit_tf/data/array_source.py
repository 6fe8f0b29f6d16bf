"""A set of images of one size, held in memory."""

import numpy as np
import tensorflow as tf


def take_images(images, index):
    """Returns some images of an array, as a tensor.

    `tf.gather` in a pipeline would copy all images into its graph.

    Args:
        images: uint8 array `[N, H, W, C]`.
        index: Integer tensor `[...]`.
    """
    taken = tf.numpy_function(images.__getitem__, [index], tf.uint8, stateful=False)
    return tf.ensure_shape(taken, (*index.shape, *images.shape[1:]))


class ArraySource:
    """Random access to images by index.

    Args:
        images: uint8 array `[N, H, W, C]`.
        labels: Integer array `[N]`; -1 where unknown.
        class_names: Sequence of K strings.
    """

    def __init__(self, images, labels, class_names):
        images, labels = np.asarray(images), np.asarray(labels)
        if images.ndim != 4 or images.dtype != np.uint8:
            raise ValueError(
                "`images` should be a uint8 array [N, H, W, C]. "
                f"Received: {images.dtype} {images.shape}"
            )
        if labels.shape != images.shape[:1]:
            raise ValueError(
                "`labels` should have one entry per image. Received: "
                f"{labels.shape} for {images.shape[0]} images"
            )
        if labels.size and labels.max() >= len(class_names):
            raise ValueError(
                "`labels` should be below the number of class names, "
                f"{len(class_names)}. Received: {labels.max()}"
            )
        self.images = images
        self.labels = labels.astype("int32")
        self.class_names = tuple(class_names)
        self.groups = None

    def __len__(self):
        return len(self.labels)

    @property
    def image_shape(self):
        """The shape `(H, W, C)` of an image."""
        return self.images.shape[1:]

    def name(self, index):
        """Returns the image's name for error messages."""
        return f"image {index}"

    def names(self):
        """Returns the names of all images."""
        return [self.name(index) for index in range(len(self))]
