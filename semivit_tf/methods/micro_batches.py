"""The micro-batches of a batch, worked on in turn.

A loop of the graph holds one micro-batch at a time, and its graph does not grow with
their number. Unrolled, their graph takes much of what they save of activations, and XLA
works on all of them at once: see `experiments/benchmarks/micro_batches.py`.
"""

import tensorflow as tf


def cut(batch, parts):
    """Returns the batch `[N, ...]` as equal micro-batches `[parts, N / parts, ...]`.

    Args:
        batch: A nest of tensors whose first axis counts images.
        parts: Integer.
    """

    def cut_tensor(tensor):
        size, rest = divmod(tensor.shape[0], parts)
        if rest:
            raise ValueError(
                "`batch_parts` should divide a replica's batch of "
                f"{tensor.shape[0]}. Received: batch_parts={parts}"
            )
        return tf.reshape(tensor, (parts, size, *tensor.shape[1:]))

    return tf.nest.map_structure(cut_tensor, batch)


def sums_and_rows(function, batch, parts, unrolled=False):
    """Applies a function to each micro-batch, one after the other.

    Args:
        function: From a micro-batch to two nests of tensors: those that are summed over
            micro-batches, of which some may be None, and those of which each is kept.
        batch: What `cut` returned.
        parts: Integer.
        unrolled: Bool. Whether to trace each micro-batch by itself, as replicas need
            it, which may have to meet while they work on one.

    Returns:
        Tuple of the sums, and of the others stacked: `[parts, ...]`.
    """

    def pick(number):
        return tf.nest.map_structure(lambda tensor: tensor[number], batch)

    # The first by itself: it shows what there is to be summed and kept.
    sums, first = function(pick(0))
    there = [index for index, value in enumerate(sums) if value is not None]
    totals = [tf.convert_to_tensor(sums[index]) for index in there]
    rows = [
        tf.TensorArray(value.dtype, parts, element_shape=value.shape).write(0, value)
        for value in tf.nest.flatten(first)
    ]

    def take(number, totals, rows):
        added, found = function(pick(number))
        totals = [
            total + tf.convert_to_tensor(added[index])
            for index, total in zip(there, totals, strict=True)
        ]
        found = zip(rows, tf.nest.flatten(found), strict=True)
        return number + 1, totals, [row.write(number, value) for row, value in found]

    if unrolled:
        for number in range(1, parts):
            # In turn: TensorFlow would run them at once and hold all activations.
            with tf.control_dependencies(totals):
                _, totals, rows = take(number, totals, rows)
    elif parts > 1:
        # A loop starts with what it has: all but the totals, while the first runs.
        with tf.control_dependencies(totals):
            start = tf.identity(1)
        _, totals, rows = tf.while_loop(
            lambda number, *_: number < parts,
            take,
            (start, totals, rows),
            parallel_iterations=1,
        )
    for index, total in zip(there, totals, strict=True):
        sums[index] = total
    stacked = [row.stack() for row in rows]
    return sums, tf.nest.pack_sequence_as(first, stacked)
