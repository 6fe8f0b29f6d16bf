"""A block against the same block written in NumPy."""

import numpy as np
import pytest
from scipy.special import erf

from semivit_tf.layers.convnext_block import ConvNeXtBlock


def numpy_depthwise(x, kernel, bias):
    """Correlates each channel with its own kernel `[S, S, C, 1]`, zeros around."""
    side = kernel.shape[0]
    padded = np.pad(x, [(0, 0), (side // 2,) * 2, (side // 2,) * 2, (0, 0)])
    out = np.zeros_like(x) + bias
    for row in range(side):
        for column in range(side):
            window = padded[:, row : row + x.shape[1], column : column + x.shape[2]]
            out += window * kernel[row, column, :, 0]
    return out


def numpy_block(x, weights):
    scale, kernel, bias, gamma, beta, fc1, fc1_b, fc2, fc2_b = weights
    y = numpy_depthwise(x, kernel, bias)
    y = (y - y.mean(-1, keepdims=True)) / np.sqrt(y.var(-1, keepdims=True) + 1e-6)
    hidden = (y * gamma + beta) @ fc1 + fc1_b
    hidden = hidden * 0.5 * (1 + erf(hidden / np.sqrt(2)))
    return x + scale * (hidden @ fc2 + fc2_b)


def test_block_equals_numpy():
    block = ConvNeXtBlock(mlp_ratio=2.0)
    block.build((None, 9, 5, 6))
    generator = np.random.default_rng(0)
    weights = [generator.normal(0, 0.3, w.shape) for w in block.weights]
    names = [w.path.split("/", 1)[1] for w in block.weights]
    assert names == [
        "scale",
        "depthwise/kernel",
        "depthwise/bias",
        "norm/gamma",
        "norm/beta",
        "mlp/expand/kernel",
        "mlp/expand/bias",
        "mlp/contract/kernel",
        "mlp/contract/bias",
    ]
    block.set_weights(weights)
    x = generator.normal(size=(2, 9, 5, 6)).astype("float32")
    expected = numpy_block(x.astype("float64"), weights)
    np.testing.assert_allclose(block(x), expected, rtol=1e-4, atol=1e-4)


def test_layer_scale_is_the_factor_on_the_branch():
    x = np.random.default_rng(0).normal(size=(2, 4, 4, 8)).astype("float32")
    block = ConvNeXtBlock(layer_scale=0.5)
    change = np.asarray(block(x)) - x
    assert np.abs(change).max() > 0.1
    other = ConvNeXtBlock(layer_scale=1e-3)
    other.build(x.shape)
    start = other.scale.numpy()
    other.set_weights(block.get_weights())
    other.scale.assign(start)
    np.testing.assert_allclose(np.asarray(other(x)) - x, 2e-3 * change, atol=1e-6)


def test_a_dropped_branch_leaves_the_input():
    block = ConvNeXtBlock(drop_path=0.75, layer_scale=1.0)
    x = np.random.default_rng(0).normal(size=(400, 3, 3, 4)).astype("float32")
    whole = np.asarray(block(x)) - x
    change = np.asarray(block(x, training=True)) - x
    dropped = np.abs(change).max(axis=(1, 2, 3)) == 0
    np.testing.assert_allclose(dropped.mean(), 0.75, atol=0.07)
    np.testing.assert_allclose(change[~dropped], 4 * whole[~dropped], atol=1e-5)


def test_a_layer_scale_of_zero_is_refused():
    with pytest.raises(ValueError, match="positive. Received: layer_scale=0"):
        ConvNeXtBlock(layer_scale=0)
