"""Which samples lose a branch, and by what the rest is scaled."""

import numpy as np
import pytest
import tensorflow as tf

from semivit_tf.layers.drop_path import DropPath


def test_samples_are_dropped_whole_and_the_mean_stays():
    layer = DropPath(0.25, seed=1)
    outputs = np.asarray(layer(tf.ones((4000, 2, 3)), training=True))
    flat = outputs.reshape(4000, -1)
    assert set(np.unique(flat.min(axis=1))) == {0.0, np.float32(1 / 0.75)}
    np.testing.assert_array_equal(flat.min(axis=1), flat.max(axis=1))
    # Four standard deviations of a mean of 4,000 draws.
    assert abs((flat[:, 0] == 0).mean() - 0.25) < 4 * np.sqrt(0.25 * 0.75 / 4000)


def test_inference_and_rate_zero_are_the_identity():
    inputs = tf.random.normal((3, 5))
    np.testing.assert_array_equal(DropPath(0.5)(inputs, training=False), inputs)
    np.testing.assert_array_equal(DropPath(0.0)(inputs, training=True), inputs)


def test_rate_one_is_refused():
    with pytest.raises(ValueError, match=r"`rate` should be in \[0, 1\)"):
        DropPath(1.0)
