"""Passes over a data set: complete, different, and startable anywhere."""

import itertools

import numpy as np
import pytest

from semivit_tf.data.order import index_batches, permutation


def take(dataset, count):
    return [tuple(p.numpy() for p in pair) for pair in itertools.islice(dataset, count)]


def test_permutation_is_fixed_for_ever():
    """These numbers are the promise that a seed means the same list anywhere."""
    assert sorted(permutation(1000, 5)) == list(range(1000))
    np.testing.assert_array_equal(permutation(8, 0), [5, 0, 4, 3, 6, 7, 2, 1])
    assert (permutation(100, (0, 1)) != permutation(100, (1, 0))).any()


def test_positions_are_equally_likely():
    counts = np.zeros((5, 5))
    for seed in range(2000):
        counts[np.arange(5), permutation(5, seed)] += 1
    # 2,000 draws: each cell expects 400, with a standard deviation of 18.
    assert np.abs(counts - 400).max() < 5 * 18


def test_every_pass_holds_every_index_once_in_its_own_order():
    indices = np.arange(100, 110)
    batches = take(index_batches(indices, 4, seed=0), 10)
    passes = np.concatenate([p for p, _ in batches])
    index = np.concatenate([i for _, i in batches])
    np.testing.assert_array_equal(passes, np.repeat(np.arange(4), 10))
    orders = [tuple(index[passes == number]) for number in range(4)]
    assert all(sorted(order) == list(indices) for order in orders)
    assert len(set(orders)) == 4


@pytest.mark.parametrize("start", [1, 2, 3, 7, 26])
def test_a_stream_starts_at_any_step(start):
    indices = np.arange(13)
    whole = take(index_batches(indices, 4, seed=3), start + 3)
    later = take(index_batches(indices, 4, seed=3, start_step=start), 3)
    for (p1, i1), (p2, i2) in zip(whole[start:], later, strict=True):
        np.testing.assert_array_equal(p1, p2)
        np.testing.assert_array_equal(i1, i2)


def test_shards_together_are_the_single_stream():
    indices = np.arange(13)
    whole = take(index_batches(indices, 6, seed=3, start_step=2), 9)
    shards = [
        take(index_batches(indices, 6, seed=3, start_step=2, shard=(k, 3)), 9)
        for k in range(3)
    ]
    for step, (passes, index) in enumerate(whole):
        for number, shard in enumerate(shards):
            own = slice(2 * number, 2 * number + 2)
            np.testing.assert_array_equal(shard[step][0], passes[own])
            np.testing.assert_array_equal(shard[step][1], index[own])


def test_batches_that_do_not_divide_over_the_shards_are_refused():
    with pytest.raises(ValueError, match="multiple of the shards"):
        index_batches(np.arange(5), 4, seed=0, shard=(0, 3))


def test_seeds_give_different_orders():
    first, second = (
        take(index_batches(np.arange(50), 50, seed=seed), 1)[0][1] for seed in (0, 1)
    )
    assert (first != second).any()
