"""How does the content of an image file become pixels?"""

import tensorflow as tf


def decode(contents):
    """Decodes JPEG, PNG, GIF (its first frame) or BMP, whatever the file is called.

    Args:
        contents: Scalar string tensor.

    Returns:
        uint8 tensor `[H, W, 3]`. What cannot be decoded raises
        `tf.errors.InvalidArgumentError`.
    """
    image = tf.io.decode_image(contents, channels=3, expand_animations=False)
    return tf.ensure_shape(image, (None, None, 3))
