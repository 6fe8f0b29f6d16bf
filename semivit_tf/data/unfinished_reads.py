"""Which images were being read when a stream failed, and which of them is bad.

An error of TensorFlow says which operation failed, but not for which image. So streams
note in Python which images they begin to read and which they have finished; after an
error, those that were never finished are looked at again.
"""

import itertools
import weakref

import numpy as np
import tensorflow as tf

from semivit_tf.data.read_image import read_image, reader_of

_numbers = itertools.count()
# source -> {call: (indices, limit)}
_unfinished: weakref.WeakKeyDictionary = weakref.WeakKeyDictionary()


def noting(source, index, read, max_pixels):
    """Returns `read(index)`, in a graph, and notes the images until they are read.

    Args:
        source: Source of encoded images.
        index: int64 tensor of any shape.
        read: Function from such a tensor to tensors.
        max_pixels: Integer. Larger images are refused by `read`.
    """

    def begin(indices):
        number = next(_numbers)
        calls = _unfinished.setdefault(source, {})
        calls[number] = np.atleast_1d(indices).tolist(), max_pixels
        return np.int64(number)

    def finish(number):
        _unfinished.get(source, {}).pop(int(number), None)
        return number

    number = tf.ensure_shape(tf.numpy_function(begin, [index], tf.int64), ())
    with tf.control_dependencies([number]):
        found = read(tf.identity(index))
    with tf.control_dependencies(tf.nest.flatten(found)):
        finished = tf.numpy_function(finish, [number], tf.int64)
    with tf.control_dependencies([finished]):
        return tf.nest.map_structure(tf.identity, found)


def forget_reads():
    """Forgets what earlier streams have begun, such as those that were cancelled."""
    _unfinished.clear()


def image_at_fault():
    """Returns `(name, reason)` of an image that a stream could not read, or None.

    Looks at the images that were begun and not finished, and forgets them.
    """
    begun = [(source, dict(calls)) for source, calls in _unfinished.items()]
    forget_reads()
    for source, calls in begun:
        read = reader_of(source)
        for indices, max_pixels in calls.values():
            for index in indices:
                _, _, reason = read_image(read, index, max_pixels)
                if reason:
                    return source.name(index), reason
    return None
