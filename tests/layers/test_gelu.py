"""The gate and its slope, against closed forms in double precision."""

import numpy as np
import pytest
import tensorflow as tf
from scipy.special import ndtr

from semivit_tf.layers.feed_forward import FeedForward
from semivit_tf.layers.gelu import gelu

POINTS = np.linspace(-8, 8, 4001)


def slope(points):
    density = np.exp(-(points**2) / 2) / np.sqrt(2 * np.pi)
    return ndtr(points) + points * density


def taken(points, upstream):
    inputs = tf.convert_to_tensor(points)
    with tf.GradientTape() as tape:
        tape.watch(inputs)
        outputs = gelu(inputs, training=True)
    return outputs, tape.gradient(outputs, inputs, output_gradients=upstream)


@pytest.mark.parametrize("xla", [False, True])
@pytest.mark.parametrize(
    ("dtype", "tolerance"), [("float64", 1e-14), ("float32", 1e-6)]
)
def test_values_and_slopes_are_exact(dtype, tolerance, xla):
    points = POINTS.astype(dtype)
    upstream = np.cos(points)
    function = tf.function(taken, jit_compile=xla, autograph=False)
    outputs, gradient = function(points, upstream)
    assert outputs.dtype == dtype
    np.testing.assert_allclose(outputs, POINTS * ndtr(POINTS), atol=tolerance)
    np.testing.assert_allclose(gradient, upstream * slope(POINTS), atol=tolerance)


def test_half_precision_stays_half():
    points = tf.cast(POINTS, "bfloat16")
    outputs, gradient = taken(points, tf.ones_like(points))
    assert outputs.dtype == gradient.dtype == tf.bfloat16
    exact = np.array(points, "float64")
    np.testing.assert_allclose(
        np.array(gradient, "float64"), slope(exact), atol=0.02, rtol=0.01
    )


def test_training_keeps_only_what_goes_in():
    with tf.Graph().as_default():
        inputs = tf.compat.v1.placeholder("float32", (100, 50))
        outputs = gelu(inputs, training=True)
        before = set(tf.compat.v1.get_default_graph().get_operations())
        tf.gradients(outputs, inputs)
        after = set(tf.compat.v1.get_default_graph().get_operations()) - before
        used = {
            tensor.name
            for operation in after
            for tensor in operation.inputs
            if tensor.op in before and tensor.shape.rank == 2
        }
    # The second is the first, passed on: it shares the memory.
    identity = outputs.op
    assert used == {inputs.name, identity.outputs[1].name}
    assert identity.inputs[1].name == inputs.name


def test_a_layer_learns_and_answers_by_the_same_function():
    layer = FeedForward(32)
    tokens = tf.random.stateless_normal((2, 5, 8), [0, 1])
    answers = layer(tokens, training=False)
    np.testing.assert_array_equal(layer(tokens, training=True), answers)
