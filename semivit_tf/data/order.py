"""The order of a run's images, by (seed, pass) and from any position.

A stream of images is an endless sequence of passes over its indices, each pass in an
order of its own. Position p lies in pass p // n, so a stream starts anywhere at once.
"""

import numpy as np
import tensorflow as tf

from semivit_tf.data.as_it_is import as_it_is


def permutation(count, seed):
    """Returns a random order of 0..count-1: the same on any machine and version.

    Args:
        count: Integer.
        seed: Integer or sequence of integers.
    """
    keys = np.arange(count, dtype=np.uint64)
    with np.errstate(over="ignore"):
        for part in np.atleast_1d(seed):
            keys = _scramble(keys + _scramble(np.uint64(int(part) % 2**64) + _STEP))
    return np.argsort(keys, kind="stable")


_STEP = np.uint64(0x9E3779B97F4A7C15)


def _scramble(bits):
    bits = (bits ^ (bits >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    bits = (bits ^ (bits >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return bits ^ (bits >> np.uint64(31))


def index_batches(indices, batch_size, seed, start_step=0, shard=(0, 1)):
    """Makes the endless `tf.data.Dataset` of `(pass [B], index [B])` batches.

    Batches run on across passes, so at any step every index has come equally often, up
    to one. A batch of more than there are indices repeats them; the pass tells the
    repetitions apart.

    Args:
        indices: Integer array of positions in a source.
        batch_size: Integer B.
        seed: Integer, or a sequence of integers that tells streams apart.
        start_step: Integer. How many batches were taken before.
        shard: Tuple `(number, count)`. Every batch is cut into so many equal parts, and
            a worker takes the one of its number, as replicas in one process do.
    """
    number, shards = shard
    if batch_size % shards or not 0 <= number < shards:
        raise ValueError(
            "`batch_size` should be a multiple of the shards, and `shard` one of them. "
            f"Received: batch_size={batch_size}, shard={shard}"
        )
    indices = np.asarray(indices, np.int64)
    count = len(indices)
    if count == 0:
        raise ValueError("A stream needs at least one image. Received: none")
    first_pass, offset = divmod(start_step * batch_size, count)
    seed = tuple(int(part) for part in np.atleast_1d(seed))

    def order(number):
        return indices[permutation(count, (*seed, int(number)))]

    @as_it_is
    def one_pass(number):
        shuffled = tf.numpy_function(order, [number], tf.int64, stateful=False)
        shuffled = tf.ensure_shape(shuffled, (count,))
        rest = shuffled[tf.where(number == first_pass, offset, 0) :]
        passes = tf.fill(tf.shape(rest), number)
        return tf.data.Dataset.from_tensor_slices((passes, rest))

    passes = tf.data.Dataset.range(first_pass, np.iinfo(np.int64).max)
    batches = passes.flat_map(one_pass).batch(batch_size, drop_remainder=True)
    if shards == 1:
        return batches
    share = batch_size // shards
    own = slice(number * share, (number + 1) * share)
    return batches.map(as_it_is(lambda passes, index: (passes[own], index[own])))
