"""Decoding of image files, wholly or in part.

The format is told by a file's first bytes, not by its name.
"""

import tensorflow as tf

from semivit_tf.augment.image_header import MAX_PIXELS, shown_with_size

# TensorFlow's default DCT is wrong by up to ten levels and hardly faster.
_EXACT = "INTEGER_ACCURATE"


def within(contents, max_pixels):
    """Returns the contents of a file, of a GIF those of its first frame.

    An image of more than `max_pixels` pixels raises `tf.errors.InvalidArgumentError`.
    """
    shown, size = shown_with_size(contents)
    height, width = tf.unstack(size)
    fits = height <= max_pixels // tf.maximum(width, 1)
    message = ["Image too large:", width, "x", height, "pixels, max_pixels", max_pixels]
    # Not `tf.debugging.Assert`, which in a graph is a slow `tf.cond` around this.
    checked = tf.raw_ops.Assert(condition=fits, data=message)
    with tf.control_dependencies([] if tf.executing_eagerly() else [checked]):
        # Where an optimizer leaves assertions out, decoding nothing fails, too.
        return tf.where(fits, shown, b"")


def decode(contents, max_pixels=MAX_PIXELS):
    """Decodes JPEG, PNG, GIF (its first frame), BMP or WebP.

    Args:
        contents: Scalar string tensor.
        max_pixels: Integer. Larger images are refused before they are decoded.

    Returns:
        uint8 tensor `[H, W, 3]`. What cannot be decoded raises
        `tf.errors.InvalidArgumentError`.
    """
    return _decoded(within(contents, max_pixels))


def _decoded(contents):
    image = tf.cond(
        tf.io.is_jpeg(contents),
        lambda: tf.io.decode_jpeg(contents, channels=3, dct_method=_EXACT),
        lambda: tf.io.decode_image(contents, channels=3, expand_animations=False),
    )
    return tf.ensure_shape(image, (None, None, 3))


class OpenImage:
    """An image of which a part can be decoded, in a graph.

    Of a JPEG, `size` reads only the header, `window` decodes only its rows and columns,
    and the image can be halved while it is decoded. Other formats are decoded wholly,
    once.

    Args:
        contents: Scalar string tensor.
        max_pixels: Integer. Larger images raise `tf.errors.InvalidArgumentError`.
    """

    def __init__(self, contents, max_pixels=MAX_PIXELS):
        self._contents = contents = within(contents, max_pixels)
        self._is_jpeg = tf.io.is_jpeg(contents)
        self._pixels = tf.cond(
            self._is_jpeg,
            lambda: tf.zeros((0, 0, 3), tf.uint8),
            lambda: _decoded(contents),
        )
        self.size = tf.cond(
            self._is_jpeg,
            lambda: tf.io.extract_jpeg_shape(contents)[:2],
            lambda: tf.shape(self._pixels)[:2],
        )
        self.most_halvings = tf.where(self._is_jpeg, 3, 0)

    def window(self, box, halvings):
        """Returns pixels `[height, width, 3]` (uint8).

        Args:
            box: int32 tensor `(top, left, height, width)`, in pixels of the image after
                its sides have been halved, rounding up.
            halvings: Scalar int32 tensor from 0 to `most_halvings`.
        """

        def of_jpeg():
            def shrunk(ratio):
                return lambda: tf.image.decode_and_crop_jpeg(
                    self._contents, box, channels=3, ratio=ratio, dct_method=_EXACT
                )

            return tf.switch_case(halvings, [shrunk(2**times) for times in range(4)])

        def of_pixels():
            top, left, height, width = tf.unstack(box)
            return self._pixels[top : top + height, left : left + width]

        pixels = tf.cond(self._is_jpeg, of_jpeg, of_pixels)
        return tf.ensure_shape(pixels, (None, None, 3))
