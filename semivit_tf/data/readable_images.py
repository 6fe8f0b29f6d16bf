"""One pass over image files of which some cannot be read."""

import tensorflow as tf

from semivit_tf.data.image_faults import has_color_table
from semivit_tf.data.pipelines import untuned
from semivit_tf.data.read_image import read_image
from semivit_tf.one_line import one_line

_BATCHES_AHEAD = 2


def readable_images(chunks, load, shape, batch_size):
    """Streams the images that can be read, decoded in parallel, in order.

    Images are numbered, and the numbers of those that cannot be read are missing. Only
    a few batches are held at a time.

    Args:
        chunks: Function that returns an iterator of lists of `(number, path)`, the path
            as bytes.
        load: Function from the contents of a file, a scalar string, to its image.
        shape: Tuple `(H, W, C)` of the images.
        batch_size: Integer.

    Returns:
        Dataset of `(numbers [B], images [B, H, W, C])`.
    """

    def arrays():
        for chunk in chunks():
            numbers, paths = zip(*chunk, strict=True)
            yield list(numbers), list(paths)

    def read(number, path):
        contents = tf.io.read_file(path)
        with tf.control_dependencies([_refuse_color_table(contents)]):
            return number, tf.ensure_shape(load(tf.identity(contents)), shape)

    files = tf.data.Dataset.from_generator(
        arrays,
        output_signature=(
            tf.TensorSpec((None,), tf.int64),
            tf.TensorSpec((None,), tf.string),
        ),
    )
    images = files.unbatch().map(
        read, num_parallel_calls=tf.data.AUTOTUNE, deterministic=True
    )
    batches = images.ignore_errors().batch(batch_size).prefetch(_BATCHES_AHEAD)
    return untuned(batches)


def why_unreadable(path, max_pixels):
    """Returns in one line why a file was left out.

    Args:
        path: Bytes.
        max_pixels: Integer. Larger images are not decoded.
    """
    _, _, reason = read_image(tf.io.read_file, path, max_pixels)
    return reason or "cannot be read"


def describe_unreadable(count, first):
    """Returns in one line which images were left out.

    Args:
        count: Integer. How many there are.
        first: List of dicts of `path` and `reason`, of the first of them.
    """
    named = [f"{one_line(image['path'])} ({image['reason']})" for image in first]
    more = f" and {count - len(named)} more" if count > len(named) else ""
    return f"{count} of them cannot be read: {', '.join(named)}{more}"


def _refuse_color_table(contents):
    """Returns an operation that fails for the BMPs that would be decoded wrongly."""
    colored = tf.cond(
        tf.strings.substr(contents, 0, 2) == b"BM",
        lambda: tf.ensure_shape(
            tf.numpy_function(has_color_table, [contents], tf.bool), ()
        ),
        lambda: False,
    )
    return tf.raw_ops.Assert(condition=~colored, data=["colour table"])
