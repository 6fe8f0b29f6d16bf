"""The head of self-distillation against NumPy; directions, not lengths, count."""

import keras
import numpy as np
import pytest
import tensorflow as tf
from scipy.special import erf

from semivit_tf.layers.projection_head import ProjectionHead
from semivit_tf.layers.unit_length import unit_length
from semivit_tf.layers.weight_normalized_dense import WeightNormalizedDense


def features(*shape, seed=0):
    return np.random.default_rng(seed).normal(size=shape).astype("float32")


def gelu(x):
    return x * 0.5 * (1 + erf(x / np.sqrt(2)))


def small_head(**options):
    head = ProjectionHead(7, hidden_width=6, bottleneck_width=5, **options)
    head.build((None, 4))
    for layer in head.dense:  # of a size that shows
        layer.kernel.assign(keras.random.normal(layer.kernel.shape, seed=1))
        layer.bias.assign(keras.random.normal(layer.bias.shape, seed=2))
    return head


def test_head_equals_numpy():
    head = small_head()
    hidden = features(3, 4)
    for number, layer in enumerate(head.dense):
        hidden = hidden @ layer.kernel.numpy() + layer.bias.numpy()
        hidden = gelu(hidden) if number < 2 else hidden
    hidden /= np.linalg.norm(hidden, axis=1, keepdims=True)
    columns = head.last_layer.kernel.numpy()
    columns /= np.linalg.norm(columns, axis=0)
    np.testing.assert_allclose(
        head(features(3, 4)), hidden @ columns, rtol=1e-4, atol=1e-5
    )


def test_normalised_outputs_are_cosines():
    head = small_head()
    direction = unit_length(head.last_layer.kernel, axis=0)
    outputs = head.last_layer(tf.transpose(direction))
    np.testing.assert_allclose(np.diag(outputs), 1.0, rtol=1e-5)
    assert np.abs(head(features(200, 4))).max() <= 1 + 1e-5


def test_lengths_of_the_kernel_do_not_matter_and_gains_do():
    layer = WeightNormalizedDense(3)
    before = layer(features(2, 4)).numpy()
    np.testing.assert_array_equal(layer.gain, np.ones((1, 3)))
    layer.kernel.assign(layer.kernel * tf.constant([0.1, 1.0, 30.0]))
    np.testing.assert_allclose(layer(features(2, 4)), before, rtol=1e-5)
    layer.gain.assign([[1.0, 2.0, 0.0]])
    expected = before * [1, 2, 0]
    np.testing.assert_allclose(layer(features(2, 4)), expected, rtol=1e-5)


def test_the_gradient_is_at_right_angles_to_each_direction():
    layer = WeightNormalizedDense(3)
    with tf.GradientTape() as tape:
        loss = tf.reduce_sum(layer(features(2, 4)) ** 2)
    gradient = tape.gradient(loss, layer.kernel.value).numpy()
    assert np.abs(gradient).max() > 0.1
    along = (gradient * layer.kernel.numpy()).sum(axis=0)
    np.testing.assert_allclose(along, 0, atol=1e-5)


@pytest.mark.parametrize(("fixed", "trainable"), [(True, 7), (False, 8)])
def test_the_gain_is_trained_only_when_asked(fixed, trainable):
    head = small_head(normalize_last_layer=fixed)
    assert len(head.trainable_weights) == trainable
    assert len(head.weights) == 8
    np.testing.assert_array_equal(head.last_layer.gain, np.ones((1, 7)))


def test_published_number_of_weights():
    head = ProjectionHead(65536)
    head.build((None, 384))
    dense = 384 * 2048 + 2048 + 2048 * 2048 + 2048 + 2048 * 256 + 256
    assert head.count_params() == dense + 256 * 65536 + 65536
    kernel = head.last_layer.kernel.numpy()
    assert abs(kernel.std() * 16 - 1 / np.sqrt(3)) < 1e-3  # uniform in +-1/16
    assert 0.06 < np.abs(kernel).max() <= 1 / 16


def test_directions_are_taken_in_float32_whatever_the_precision():
    layer = WeightNormalizedDense(3, dtype="mixed_bfloat16")
    exact = WeightNormalizedDense(3)
    exact.build((None, 4))
    layer.build((None, 4))
    layer.kernel.assign(exact.kernel)
    with tf.GradientTape() as tape:
        outputs = layer(tf.cast(features(2, 4), "bfloat16"))
    assert outputs.dtype == tf.bfloat16
    assert tape.gradient(outputs, layer.kernel.value).dtype == tf.float32
    wanted = exact(features(2, 4))
    np.testing.assert_allclose(tf.cast(outputs, "float32"), wanted, atol=0.03)
