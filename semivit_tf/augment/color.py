"""Changing brightness, contrast and saturation, a whole batch at a time."""

import tensorflow as tf

GREY_WEIGHTS = (0.299, 0.587, 0.114)


def to_grey(images):
    """Returns luminance `[N, H, W, 1]` of colour images; grey ones pass unchanged."""
    if images.shape[-1] == 1:
        return images
    return tf.reduce_sum(images * tf.constant(GREY_WEIGHTS), axis=-1, keepdims=True)


class ColorJitter:
    """Blends images with black, their mean grey level and their grey version.

    Each factor is drawn from [1 - strength, 1 + strength]; saturation leaves grey
    images as they are.

    Args:
        brightness: Float.
        contrast: Float.
        saturation: Float.
    """

    draws = 3

    def __init__(self, brightness=0.0, contrast=0.0, saturation=0.0):
        self.strengths = (brightness, contrast, saturation)

    def __call__(self, images, draws):
        factors = 1.0 + (2.0 * draws - 1.0) * tf.constant(self.strengths)
        factors = factors[:, :, None, None, None]
        images = tf.clip_by_value(images * factors[:, 0], 0.0, 255.0)
        grey = tf.reduce_mean(to_grey(images), axis=(1, 2, 3), keepdims=True)
        images = tf.clip_by_value(grey + (images - grey) * factors[:, 1], 0.0, 255.0)
        grey = to_grey(images)
        return tf.clip_by_value(grey + (images - grey) * factors[:, 2], 0.0, 255.0)
