"""A block against the same block written in NumPy."""

import keras
import numpy as np
from scipy.special import erf, softmax

from semivit_tf.layers.transformer_block import TransformerBlock


def numpy_norm(x, gamma, beta):
    centred = x - x.mean(-1, keepdims=True)
    return centred / np.sqrt(x.var(-1, keepdims=True) + 1e-6) * gamma + beta


def numpy_block(x, weights, heads):
    (g1, b1, qkv, qkv_b, out, out_b, g2, b2, fc1, fc1_b, fc2, fc2_b) = weights
    width = x.shape[-1] // heads
    fused = numpy_norm(x, g1, b1) @ qkv + qkv_b
    mixed = np.zeros_like(x)
    for head in range(heads):
        q, k, v = (
            fused[..., part * x.shape[-1] + head * width :][..., :width]
            for part in range(3)
        )
        scores = np.einsum("bnd,bmd->bnm", q, k) / np.sqrt(width)
        attended = np.einsum("bnm,bmd->bnd", softmax(scores, axis=-1), v)
        mixed[..., head * width : (head + 1) * width] = attended
    x = x + mixed @ out + out_b
    hidden = numpy_norm(x, g2, b2) @ fc1 + fc1_b
    hidden = hidden * 0.5 * (1 + erf(hidden / np.sqrt(2)))
    return x + hidden @ fc2 + fc2_b


def test_block_equals_numpy():
    block = TransformerBlock(heads=3, mlp_ratio=2.0)
    block.build((None, 5, 12))
    generator = np.random.default_rng(0)
    weights = [generator.normal(0, 0.3, w.shape) for w in block.weights]
    assert len(weights) == 12
    block.set_weights(weights)
    tokens = generator.normal(size=(2, 5, 12)).astype("float32")
    expected = numpy_block(tokens.astype("float64"), weights, heads=3)
    np.testing.assert_allclose(block(tokens), expected, rtol=1e-4, atol=1e-4)


def test_blocks_of_one_initializer_start_differently():
    initializer = keras.initializers.TruncatedNormal(stddev=0.02)
    blocks = [
        TransformerBlock(heads=2, kernel_initializer=initializer) for _ in range(2)
    ]
    for block in blocks:
        block.build((None, 3, 8))
    first, second = (block.mlp.expand.kernel.numpy() for block in blocks)
    assert np.abs(first - second).min() > 0
    assert np.abs(first - blocks[0].attention.qkv.kernel.numpy()[:, :1]).min() > 0
