"""How a map and tokens tell each other what they see."""

import numpy as np
import pytest

from semivit_tf.layers.fused_block import FusedBlock, MiddleFusedBlock
from semivit_tf.layers.map_to_tokens import MapToTokens
from semivit_tf.layers.tokens_to_map import TokensToMap


def noise(*shape, seed=0):
    return np.random.default_rng(seed).normal(size=shape).astype("float32")


def test_tokens_of_a_map_are_the_means_of_its_squares():
    layer = MapToTokens(5, ratio=2)
    layer.build((None, 6, 4, 5))
    layer.project.kernel.assign(np.eye(5)[None, None])
    layer.norm.call = lambda tokens, training=False: tokens
    features = 100 + np.abs(noise(2, 6, 4, 5))  # a GELU changes nothing there
    tokens = np.asarray(layer(features))
    assert tokens.shape == layer.compute_output_shape(features.shape) == (2, 6, 5)
    for row in range(3):
        for column in range(2):
            square = features[:, 2 * row : 2 * row + 2, 2 * column : 2 * column + 2]
            expected = square.mean(axis=(1, 2))
            np.testing.assert_allclose(tokens[:, 2 * row + column], expected, rtol=1e-5)


def test_a_token_fills_its_square_of_the_map():
    layer = TokensToMap(4, ratio=3, epsilon=0.0)
    layer.build((None, 6, 4))
    layer.project.conv.kernel.assign(np.eye(4)[None, None])
    tokens = np.abs(noise(2, 6, 4))
    features = np.asarray(layer(tokens, grid=(3, 2)))
    assert features.shape == layer.compute_output_shape((2, 6, 4), (3, 2))
    for row in range(9):
        for column in range(6):
            expected = tokens[:, 2 * (row // 3) + column // 3]
            np.testing.assert_array_equal(features[:, row, column], expected)
    with pytest.raises(ValueError, match="no square. Received: 6"):
        layer(tokens)


def built(kind, **options):
    block = kind(8, 2, 2, **options)
    block.build((None, 4, 4, 8), (None, 5, 12))
    return block


@pytest.mark.parametrize("kind", [FusedBlock, MiddleFusedBlock])
def test_the_class_token_enters_doubled_and_never_reaches_the_map(kind):
    block = built(kind)
    entered, raised = [], []
    transform, up = block.transformer.call, block.up.call

    def entering(tokens, training=False):
        entered.append(np.asarray(tokens))
        return tokens  # so that only what is told can reach the map

    def raising(tokens, grid=None, training=False):
        raised.append(np.asarray(up(tokens, grid=grid, training=training)))
        return up(tokens, grid=grid, training=training)

    block.transformer.call, block.up.call = entering, raising
    features, tokens = noise(3, 4, 4, 8), noise(3, 5, 12, seed=1)
    other = tokens.copy()
    other[:, 0] += 1.0
    maps = [np.asarray(block(features, given)[0]) for given in (tokens, other)]
    for given, found in zip((tokens, other), entered, strict=True):
        np.testing.assert_allclose(found[:, 0], 2 * given[:, 0], rtol=1e-6)
        assert (found[:, 1:] != given[:, 1:]).any()
    np.testing.assert_array_equal(*raised)
    np.testing.assert_array_equal(*maps)
    block.transformer.call = transform


def test_what_tokens_tell_does_not_enter_the_shortcut():
    """With the last norm at zero the block is the rectifier of its input."""
    block = built(FusedBlock)
    block.second.conv3.norm.gamma.assign(np.zeros(8))
    features, told = noise(3, 4, 4, 8), noise(3, 4, 4, 8, seed=1)
    found = block.second(features, told)
    np.testing.assert_allclose(found, np.maximum(features, 0), atol=1e-6)


@pytest.mark.parametrize(("kind", "told"), [(FusedBlock, 8), (MiddleFusedBlock, 2)])
def test_all_channels_or_those_of_the_middle_are_told(kind, told):
    block = built(kind)
    assert block.down.project.kernel.shape == (1, 1, told, 12)
    assert block.up.project.conv.kernel.shape == (1, 1, 12, told)
    assert not hasattr(built(kind, separate=True), "down")
