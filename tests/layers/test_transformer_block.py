"""A block against the same block written in NumPy."""

import keras
import numpy as np
import pytest

from semivit_tf.layers.transformer_block import TransformerBlock
from tests.layers.numpy_block import numpy_block


@pytest.mark.parametrize(
    "options", [{}, {"qkv_bias": False, "epsilon": 1e-2}], ids=["vit", "u_vit"]
)
def test_block_equals_numpy(options):
    bias, epsilon = options.get("qkv_bias", True), options.get("epsilon", 1e-6)
    block = TransformerBlock(
        heads=3, mlp_ratio=2.0, qkv_bias=bias, norm_epsilon=epsilon
    )
    block.build((None, 5, 12))
    generator = np.random.default_rng(0)
    weights = [generator.normal(0, 0.3, w.shape) for w in block.weights]
    assert len(weights) == 11 + bias
    block.set_weights(weights)
    tokens = generator.normal(size=(2, 5, 12)).astype("float32")
    expected = numpy_block(tokens.astype("float64"), weights, heads=3, **options)
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
