"""Micro-batches are worked on one after the other: memory holds one at a time."""

import time

import numpy as np
import pytest
import tensorflow as tf

from semivit_tf.methods.micro_batches import cut, sums_and_rows


@pytest.mark.parametrize("unrolled", [False, True])
def test_one_begins_when_the_one_before_has_ended(unrolled):
    """A sum that takes a while: what happens meanwhile would show between its ends."""
    seen = []

    def slow(values):
        seen.append("begin")
        time.sleep(0.1)
        seen.append("end")
        return values.sum()

    @tf.function(autograph=False)
    def run(batch):
        def function(part):
            # Stateless, or TensorFlow would keep the order by itself.
            total = tf.numpy_function(slow, [part], tf.float32, stateful=False)
            total.set_shape(())
            return [total, None], 2.0 * part

        return sums_and_rows(function, cut(batch, 3), 3, unrolled)

    (total, nothing), rows = run(np.arange(6, dtype="float32"))
    assert float(total) == 15.0 and nothing is None
    np.testing.assert_array_equal(rows, [[0, 2], [4, 6], [8, 10]])
    assert seen == ["begin", "end"] * 3
