"""Directions, in full precision and without a division by zero."""

import numpy as np
import tensorflow as tf

from semivit_tf.layers.unit_length import unit_length


def test_a_zero_vector_stays_zero_and_its_gradient_finite():
    vectors = tf.constant([[0.0, 0.0], [3.0, 4.0]])
    with tf.GradientTape() as tape:
        tape.watch(vectors)
        directions = unit_length(vectors)
        total = tf.reduce_sum(directions)
    np.testing.assert_allclose(directions, [[0, 0], [0.6, 0.8]], rtol=1e-6)
    assert np.isfinite(tape.gradient(total, vectors)).all()


def test_columns_have_directions_too():
    columns = np.float32([[3, 0], [4, 2]])
    np.testing.assert_allclose(
        unit_length(columns, axis=0), [[0.6, 0], [0.8, 1]], rtol=1e-6
    )


def test_norms_are_taken_in_float32():
    generator = np.random.default_rng(0)
    vectors = tf.cast(generator.normal(size=(5, 300)), "bfloat16")
    directions = unit_length(vectors)
    assert directions.dtype == tf.float32
    exact = tf.cast(vectors, "float64").numpy()
    exact /= np.linalg.norm(exact, axis=1, keepdims=True)
    np.testing.assert_allclose(directions, exact, rtol=1e-5)
