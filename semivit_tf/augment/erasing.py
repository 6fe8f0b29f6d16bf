"""Replacing a random box of an image by noise."""

import math

import tensorflow as tf


class RandomErasing:
    """Fills a box with pixel noise of the given statistics.

    Published code erases normalised images with N(0, 1) noise; in pixels that is noise
    of the normalisation's mean and deviation.

    Args:
        shape: Tuple `(H, W, C)` of the images.
        probability: Float. Share of images with a box.
        mean: Floats in [0, 1], one per channel.
        std: Floats, one per channel.
        area: Tuple of the smallest and largest share of the image's area.
        aspect: Tuple of the smallest and largest height over width, drawn
            log-uniformly.

    Reference:
        Zhong et al., Random Erasing Data Augmentation, 2020.
    """

    def __init__(
        self, shape, probability, mean, std, area=(0.02, 1 / 3), aspect=(0.3, 1 / 0.3)
    ):
        self.shape = tuple(shape)
        self.probability = probability
        self.mean = mean
        self.std = std
        self.area = area
        self.aspect = aspect
        self.draws = 5 + math.prod(self.shape)

    def __call__(self, images, draws):
        height, width, _ = self.shape
        low, high = (math.log(value) for value in self.aspect)
        area = self.area[0] + draws[:, 1] * (self.area[1] - self.area[0])
        area *= height * width
        root = tf.exp(0.5 * (low + draws[:, 2] * (high - low)))
        box_height = tf.round(tf.minimum(tf.sqrt(area) * root, height - 1.0))
        box_width = tf.round(tf.minimum(tf.sqrt(area) / root, width - 1.0))
        top = tf.floor(draws[:, 3] * (height - box_height + 1.0))
        left = tf.floor(draws[:, 4] * (width - box_width + 1.0))

        def within(start, length, count):
            index = tf.range(count, dtype=tf.float32)[None, :]
            start, length = start[:, None], length[:, None]
            return (index >= start) & (index < start + length)

        inside = within(top, box_height, height)[:, :, None]
        inside &= within(left, box_width, width)[:, None, :]
        inside &= (draws[:, 0] < self.probability)[:, None, None]
        # Draws are multiples of 2**-24 below 1; both ends would give infinite noise.
        normal = tf.math.ndtri(tf.minimum(draws[:, 5:] + 2.0**-25, 1.0 - 2.0**-24))
        noise = tf.reshape(normal, (-1, *self.shape)) * tf.constant(self.std)
        noise = 255.0 * (noise + tf.constant(self.mean))
        return tf.where(inside[..., None], noise, images)
