"""Makes TensorFlow compute the same bits each time that it computes the same."""

import tensorflow as tf


def compute_repeatably():
    """Makes all operations deterministic; call it before the first of them.

    To TensorFlow that is each operation by itself. But its graph optimizer turns what
    is written as `a + (b + c)` into one operation of three inputs, and that begins with
    the input whose memory is free first: a matter of timing. So sums stay as they are.
    """
    tf.config.experimental.enable_op_determinism()
    tf.config.optimizer.set_experimental_options({"arithmetic_optimization": False})
