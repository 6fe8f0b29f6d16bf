"""Loading of image files in a graph, also of batches where some cannot be read."""

import tensorflow as tf

from semivit_tf.augment.central_view import central_view
from semivit_tf.augment.decoding import decode
from semivit_tf.augment.grey import to_grey


def file_loader(image_shape, central_share, max_pixels):
    """Returns a function from the contents of a file, a scalar string, to its image.

    Args:
        image_shape: Tuple `(H, W, C)` of the images.
        central_share: Float, see `central_view`.
        max_pixels: Integer. An image of more pixels is an error.
    """
    height, width, channels = image_shape

    def load(contents):
        # Decoded in colour, as TensorFlow cannot decode every format to grey.
        image = decode(contents, max_pixels)
        image = central_view(image, (height, width), central_share)
        return to_grey(image[None])[0] if channels == 1 else image

    return load


def load_all(load, contents, shape):
    """Loads all images of a batch; one that cannot be read is an error.

    Args:
        load: Function from the contents of a file, a scalar string, to its image.
        contents: String tensor `[B]`.
        shape: Tuple `(H, W, C)` of the images.

    Returns:
        Float32 tensor `[B, H, W, C]`.
    """
    return tf.map_fn(
        load, contents, fn_output_signature=tf.TensorSpec(shape, tf.float32)
    )


def load_readable(load, contents, shape):
    """Loads the images of a batch for which `load` raises no error.

    No operation of TensorFlow decodes without raising, but tf.data leaves out the
    elements whose operations raise, also in a served graph.

    Args:
        load: See `load_all`; so are the other arguments.
        contents: String tensor `[B]`.
        shape: Tuple `(H, W, C)`.

    Returns:
        Tuple `(images, readable)`: float32 `[B, H, W, C]`, zero where an image could
        not be read, and booleans `[B]`.
    """
    count = tf.size(contents)

    def numbered(number, content):
        return number, tf.ensure_shape(load(content), shape)

    numbers = tf.range(1, count + 1)
    readable = tf.data.Dataset.from_tensor_slices((numbers, contents))
    readable = readable.map(numbered, num_parallel_calls=tf.data.AUTOTUNE)
    # A first element that is always there: a batch of nothing would be an error.
    first = tf.data.Dataset.from_tensors((tf.constant(0), tf.zeros(shape)))
    found = first.concatenate(readable.ignore_errors())
    found = found.batch(tf.cast(count, tf.int64) + 1).with_options(_plain())
    numbers, images = found.get_single_element()
    rows = numbers[:, None]
    images = tf.scatter_nd(rows, images, (count + 1, *shape))
    read = tf.scatter_nd(rows, tf.ones_like(numbers), (count + 1,))
    return images[1:], tf.cast(read[1:], tf.bool)


def _plain():
    """Returns options for a data set of one batch: nothing is tuned or rewritten."""
    options = tf.data.Options()
    options.autotune.enabled = False
    options.experimental_optimization.apply_default_optimizations = False
    return options
