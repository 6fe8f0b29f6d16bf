"""Bit-for-bit repeatable results from TensorFlow."""

import tensorflow as tf


def compute_repeatably():
    """Makes all operations deterministic. Call it before any of them runs.

    TensorFlow's own switch makes each operation deterministic. But its graph optimizer
    turns `a + (b + c)` into one operation with three inputs, which adds them in the
    order in which their buffers become free. So arithmetic optimization is turned off.

    The gradient of a tensor that is used three times is such a sum as well: it begins
    with the first of its terms whose buffer nothing else needs by then. So networks
    hand a copy to two of the uses, and gradients are summed two at a time.
    """
    tf.config.experimental.enable_op_determinism()
    tf.config.optimizer.set_experimental_options({"arithmetic_optimization": False})
