"""The central view of an image, as models are evaluated and served."""

import tensorflow as tf


def central_view(image, size, share=1.0):
    """Cuts a central box of the wanted aspect and resizes it.

    Args:
        image: Tensor `[H, W, C]`, any size, or images `[B, H, W, C]` of one size.
        size: Tuple `(H, W)` of the result.
        share: Float in (0, 1]. The box's sides over those of the largest box. 0.875
            shows the same as resizing to 256 and cutting out 224.

    Returns:
        Float32 tensor `[..., size[0], size[1], C]` in [0, 255].
    """
    if share == 1.0 and tuple(image.shape[-3:-1]) == tuple(size):
        return tf.cast(image, tf.float32)
    height, width = tf.unstack(tf.shape(image)[-3:-1], num=2)
    # Integers keep the aspect of `size` up to one pixel.
    box_height = tf.minimum(height, width * size[0] // size[1])
    box_width = tf.minimum(width, height * size[1] // size[0])

    def shrunk(side):
        side = tf.cast(tf.round(share * tf.cast(side, tf.float32)), tf.int32)
        return tf.maximum(side, 1)

    box_height, box_width = shrunk(box_height), shrunk(box_width)
    top, left = (height - box_height) // 2, (width - box_width) // 2
    box = image[..., top : top + box_height, left : left + box_width, :]
    resized = tf.image.resize(box, size, method="bicubic", antialias=True)
    shape = (*image.shape[:-3], *size, None)
    return tf.clip_by_value(tf.ensure_shape(resized, shape), 0.0, 255.0)
