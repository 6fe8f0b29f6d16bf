"""The luminance of colours."""

import tensorflow as tf

GREY_WEIGHTS = (0.299, 0.587, 0.114)


def to_grey(images):
    """Returns luminance `[N, H, W, 1]` of colour images; grey ones pass unchanged."""
    if images.shape[-1] == 1:
        return images
    return tf.reduce_sum(images * tf.constant(GREY_WEIGHTS), axis=-1, keepdims=True)
