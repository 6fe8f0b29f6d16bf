"""Strategies by name, and refusals in one line."""

import pytest
import tensorflow as tf

from semivit_tf.training import distribution
from semivit_tf.training.distribution import (
    check_batch_size,
    create_strategy,
    distributed,
    meet,
)


def test_one_device_is_the_default():
    assert create_strategy("none") is tf.distribute.get_strategy()


def test_mirrored_uses_the_logical_cpus():
    assert create_strategy("mirrored", logical_cpus=2).num_replicas_in_sync == 2


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("ring",), "Received: 'ring'"),
        (("none", 2), "logical_cpus=2 needs strategy=mirrored"),
        (("multi_worker",), "strategy=multi_worker should be given"),
        (("tpu",), "strategy=tpu found no TPU"),
    ],
)
def test_refusals(arguments, message):
    with pytest.raises(ValueError, match=message) as error:
        create_strategy(*arguments)
    assert "\n" not in str(error.value)


def test_batches_are_shared_equally():
    check_batch_size("semi_batch_size", 8, 2)
    with pytest.raises(ValueError, match="--semi_batch_size should be a multiple of"):
        check_batch_size("semi_batch_size", 7, 2)


def test_each_replica_gets_its_rows_in_a_batch_of_known_size():
    strategy = create_strategy("mirrored", logical_cpus=2)

    def stream(step):
        rows = tf.data.Dataset.range(12 + 6 * step, 24)
        return rows.batch(6, drop_remainder=True).map(lambda row: (row, {"x": 2 * row}))

    batches = iter(distributed(strategy, stream, 1))

    @tf.function
    def step(batch):
        def look(rows, more):
            assert rows.shape == more["x"].shape == (3,)
            return rows

        return strategy.run(look, args=batch)

    seen = strategy.experimental_local_results(step(next(batches)))
    assert [rows.numpy().tolist() for rows in seen] == [[18, 19, 20], [21, 22, 23]]


def test_workers_meet_many_times_by_one_trace(mirrored, monkeypatch):
    monkeypatch.setattr(distribution, "workers", lambda strategy: (0, 2))
    run, traces = mirrored.run, []

    def counted(*args, **kwargs):
        traces.append(args)
        return run(*args, **kwargs)

    monkeypatch.setattr(mirrored, "run", counted)
    assert all(meet(mirrored, text) for text in ("", "a", "b", "a longer one", "a"))
    assert len(traces) == 1
    total = distribution._sum_over_replicas(mirrored, tf.constant(1.5, tf.float64))
    assert float(total) == 3.0
