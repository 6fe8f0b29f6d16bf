"""Normalised values and their gradients, against closed forms in double precision."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from semivit_tf.layers.layer_norm import LayerNorm

EPSILON = 1e-6


def drawn(dtype, shape=(3, 5, 48)):
    """Returns inputs, upstream gradients, scales and offsets."""
    random = np.random.default_rng(0)
    inputs = random.normal(2.0, 3.0, shape)
    upstream, scale, offset = (random.normal(size=s) for s in (shape, 48, 48))
    return [array.astype(dtype) for array in (inputs, upstream, scale, offset)]


def expected(inputs, upstream, scale, offset):
    """Returns the values and the gradients of inputs, scale and offset."""
    inputs, upstream, scale, offset = (
        array.astype("float64") for array in (inputs, upstream, scale, offset)
    )
    deviation = np.sqrt(inputs.var(axis=-1, keepdims=True) + EPSILON)
    normal = (inputs - inputs.mean(axis=-1, keepdims=True)) / deviation
    inner = upstream * scale
    # The Jacobian of one row is (I - 1 1'/D - n n'/D) / deviation.
    along = (inner * normal).mean(axis=-1, keepdims=True) * normal
    gradient = (inner - inner.mean(axis=-1, keepdims=True) - along) / deviation
    axes = tuple(range(inputs.ndim - 1))
    by_scale, by_offset = (upstream * normal).sum(axes), upstream.sum(axes)
    return normal * scale + offset, gradient, by_scale, by_offset


def taken(layer, inputs, upstream, training):
    inputs = tf.convert_to_tensor(inputs)
    with tf.GradientTape() as tape:
        tape.watch(inputs)
        outputs = layer(inputs, training=training)
    sources = [inputs, *(weight.value for weight in layer.weights)]
    return outputs, *tape.gradient(outputs, sources, output_gradients=upstream)


@pytest.mark.parametrize("training", [False, True])
@pytest.mark.parametrize("xla", [False, True])
@pytest.mark.parametrize(
    ("dtype", "shape", "tolerance"),
    [("float64", (3, 5, 48), 1e-12), ("float32", (2, 3, 5, 48), 2e-5)],
)
def test_values_and_gradients_are_exact(dtype, shape, tolerance, xla, training):
    inputs, upstream, scale, offset = drawn(dtype, shape)
    layer = LayerNorm(epsilon=EPSILON, dtype=dtype)
    layer.build(shape)
    layer.set_weights([scale, offset])

    @tf.function(jit_compile=xla, autograph=False)
    def function(inputs, upstream):
        return taken(layer, inputs, upstream, training)

    results = function(inputs, upstream)
    for result, exact in zip(
        results, expected(inputs, upstream, scale, offset), strict=True
    ):
        assert result.dtype == dtype
        np.testing.assert_allclose(result, exact, rtol=tolerance, atol=tolerance)


def test_it_is_the_layer_of_keras_under_another_gradient():
    inputs, _, scale, offset = drawn("float32")
    for policy in ("float32", "mixed_bfloat16"):
        ours = LayerNorm(epsilon=1e-3, dtype=policy)
        theirs = keras.layers.LayerNormalization(epsilon=1e-3, dtype=policy)
        for layer in (ours, theirs):
            layer.build(inputs.shape)
            layer.set_weights([scale, offset])
        names = [weight.name for weight in theirs.weights]
        assert [weight.name for weight in ours.weights] == names
        answer, expectation = (
            tf.cast(layer(inputs, training=True), "float64") for layer in (ours, theirs)
        )
        rounding = 1e-5 if policy == "float32" else 2**-7
        np.testing.assert_allclose(answer, expectation, rtol=rounding, atol=rounding)


def test_half_precision_is_normalised_in_single():
    """Squares of 30,000 do not fit float16, whose largest number is 65,504."""
    inputs = tf.constant([[30000.0, -30000.0, 0.0, 30000.0]], "float16")
    layer = LayerNorm(dtype="mixed_float16")
    outputs, gradient, *_ = taken(layer, inputs, tf.ones_like(inputs), training=True)
    assert outputs.dtype == gradient.dtype == tf.float16
    values = np.asarray(inputs.numpy(), "float64")
    exact = (values - values.mean()) / values.std()
    np.testing.assert_allclose(outputs, exact, atol=1e-3)


def test_learning_and_answering_are_the_same_to_the_bit():
    inputs, *_ = drawn("float32")
    layer = LayerNorm()
    np.testing.assert_array_equal(
        layer(inputs, training=True), layer(inputs, training=False)
    )


def test_a_copy_has_the_same_epsilon():
    copy = LayerNorm.from_config(LayerNorm(epsilon=0.5).get_config())
    np.testing.assert_allclose(
        copy(np.array([[1.0, -1.0]])), [[1.5**-0.5, -(1.5**-0.5)]], rtol=1e-6
    )
