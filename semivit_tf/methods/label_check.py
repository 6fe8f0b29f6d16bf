"""Labels are checked where batches come from, before a step gets them.

XLA drops assertions from a step; data is read outside of it, and on the host.
"""

import contextlib
import re

import tensorflow as tf

_EXPECTED = "A label should be "
_TOLERANCE = 1e-3  # of the sum of a distribution


def check_labels(labels, num_classes):
    """Returns the labels, or raises `InvalidArgumentError` when it is run.

    Args:
        labels: Tensor `[B]` or `[B, 1]` of class numbers, or `[B, K]` of distributions.
        num_classes: Integer K.
    """
    if labels.shape.rank is None or not labels.dtype.is_numeric:
        return labels  # the step says what it expects
    if labels.shape.rank > 1 and labels.shape[-1] != 1:
        shares = tf.cast(labels, tf.float32)
        wrong = (tf.abs(tf.reduce_sum(shares, axis=-1) - 1) > _TOLERANCE) | (
            tf.reduce_min(shares, axis=-1) < 0
        )
        expected = "a class number, or a distribution with a sum of 1. Received: "
    else:
        wrong = (labels < 0) | (labels > num_classes - 1)
        if labels.dtype.is_floating:
            wrong |= labels != tf.round(labels)
        expected = (
            f"of 0 to {num_classes - 1}, because the model has {num_classes} classes. "
            "Received: "
        )

    def refused():
        first = tf.boolean_mask(labels, wrong)[0]
        message = tf.strings.format(_EXPECTED + expected + "{}", first)
        with tf.control_dependencies([tf.debugging.Assert(False, [message])]):
            return tf.identity(labels)

    return tf.cond(tf.reduce_any(wrong), refused, lambda: labels)


def checked(x, y, num_classes):
    """Returns what `fit` or `evaluate` got as `x`; its labels are checked.

    Those of arrays are checked at once, those of a `tf.data.Dataset` as it is read.
    Other data reaches the step as it is, where a wrong label makes the loss NaN.

    Args:
        x: What Keras takes as `x`.
        y: What Keras takes as `y`.
        num_classes: Integer K.
    """
    if y is not None:
        check_labels(tf.convert_to_tensor(y), num_classes)
    elif isinstance(x, tf.data.Dataset):
        spec = x.element_spec
        if isinstance(spec, tuple) and len(spec) > 1 and _is_tensor(spec[1]):

            @tf.autograph.experimental.do_not_convert  # which would take a second
            def check(inputs, y, *more):
                return (inputs, check_labels(y, num_classes), *more)

            return x.map(check)
    return x


def _is_tensor(spec):
    return isinstance(spec, tf.TensorSpec)


def checked_validation(data, num_classes):
    """Returns what `fit` got as `validation_data`; its labels are checked."""
    if isinstance(data, (tuple, list)) and len(data) > 1:
        checked(data[0], data[1], num_classes)
        return data
    return checked(data, None, num_classes)


@contextlib.contextmanager
def wrong_labels_named():
    """Turns the error of `check_labels` into a `ValueError` of one line."""
    try:
        yield
    except tf.errors.InvalidArgumentError as error:
        found = re.search(_EXPECTED + r".*Received: (\[.*?\]|[-+.\w]+)", error.message)
        if not found:
            raise
        raise ValueError(found[0]) from None
