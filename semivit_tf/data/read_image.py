"""Read one image of a source, or say in a line why it cannot be used."""

import tensorflow as tf

from semivit_tf.augment.decoding import decode
from semivit_tf.augment.image_header import image_size
from semivit_tf.data.image_faults import (
    has_color_table,
    why_not_decoded,
    why_unread,
)


def reader_of(source):
    """Returns a function from an index to the contents of that image, a tensor."""
    read = tf.function(source.contents).get_concrete_function(
        tf.TensorSpec((), tf.int64)
    )
    return lambda index: read(tf.constant(index, tf.int64))


def read_image(read, index, max_pixels):
    """Reads and decodes an image.

    Args:
        read: Function of `reader_of`.
        index: Integer.
        max_pixels: Integer. Larger images are not decoded.

    Returns:
        Tuple `(image, contents, reason)`: a uint8 tensor `[H, W, 3]`, bytes, and an
        empty string. If the image cannot be used, it is None and `reason` says why.
    """
    try:
        contents = read(index)
    except (tf.errors.OpError, OSError) as error:
        return None, b"", why_unread(error)
    known = contents.numpy()
    try:
        image = decode(contents, max_pixels)
    except (tf.errors.ResourceExhaustedError, MemoryError):
        return None, known, "too large for memory"
    except tf.errors.OpError:
        return None, known, _too_large(contents, max_pixels) or why_not_decoded(known)
    if has_color_table(known):
        return None, known, "BMP with a colour table, which TensorFlow ignores"
    return image, known, ""


def _too_large(contents, max_pixels):
    try:
        height, width = image_size(contents).numpy().tolist()
    except tf.errors.InvalidArgumentError:
        return ""  # a JPEG without a header
    if height * width <= max_pixels:
        return ""
    return f"{width} x {height} pixels, more than --max_pixels={max_pixels}"
