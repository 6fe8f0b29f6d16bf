"""Random orders and masks of tokens."""

import numpy as np
import tensorflow as tf

from semivit_tf.layers.token_masking import (
    gather_tokens,
    random_token_order,
    token_mask,
    visible_count,
)


def test_visible_count_truncates():
    assert visible_count(196, 0.75) == 49
    assert visible_count(16, 0.6) == 6
    assert visible_count(10, 0.0) == 10


def test_restore_inverts_shuffle_and_samples_differ():
    tokens = tf.random.normal((8, 12, 3))
    shuffle, restore = random_token_order(8, 12, seed=0)
    shuffled = gather_tokens(tokens, shuffle)
    np.testing.assert_array_equal(gather_tokens(shuffled, restore), tokens)
    assert len({tuple(row) for row in np.asarray(shuffle)}) == 8
    np.testing.assert_array_equal(np.sort(shuffle, axis=1), [np.arange(12)] * 8)


def test_mask_marks_exactly_the_hidden_tokens():
    shuffle, restore = random_token_order(5, 10, seed=1)
    mask = np.asarray(token_mask(restore, 4))
    np.testing.assert_array_equal(mask.sum(axis=1), 6)
    for row in range(5):
        assert set(np.flatnonzero(mask[row] == 0)) == set(np.asarray(shuffle)[row, :4])
