"""Which part of a picture does a model look at when nothing is drawn at random?"""

import tensorflow as tf


def central_view(image, size):
    """Cuts the largest central box of the wanted aspect and resizes it.

    Args:
        image: Tensor `[H, W, C]`, any size.
        size: Tuple `(H, W)` of the result.

    Returns:
        Float32 tensor `[size[0], size[1], C]` in [0, 255].
    """
    height, width = tf.unstack(tf.shape(image)[:2])
    # In whole numbers: the box has the aspect of `size` up to a pixel.
    box_height = tf.maximum(1, tf.minimum(height, width * size[0] // size[1]))
    box_width = tf.maximum(1, tf.minimum(width, height * size[1] // size[0]))
    top, left = (height - box_height) // 2, (width - box_width) // 2
    box = image[top : top + box_height, left : left + box_width]
    resized = tf.image.resize(box, size, method="bicubic", antialias=True)
    return tf.clip_by_value(resized, 0.0, 255.0)
