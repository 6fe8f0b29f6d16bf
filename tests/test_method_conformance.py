"""What every method of the table does in training: modes, replicas, parts, stops."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from semivit_tf.training.checkpoints import Checkpoints, Position
from tests.conformance import METHODS, name


@pytest.mark.parametrize("row", METHODS, ids=name)
@pytest.mark.parametrize("precision", ["float32", "mixed_bfloat16"])
@pytest.mark.parametrize("jit_compile", [False, True])
def test_training_steps_run_in_every_mode(row, precision, jit_compile):
    keras.config.set_dtype_policy(precision)
    try:
        model = row.build()
        model.compile(keras.optimizers.AdamW(1e-3), jit_compile=jit_compile)
        before = [w.numpy() for w in model.trainable_variables]
        data = tf.data.Dataset.from_tensors(row.batch).repeat(2)
        logs = model.fit(data, verbose=0).history
    finally:
        keras.config.set_dtype_policy("float32")
    # Keras only warns when a model goes on without XLA.
    assert model.jit_compile is jit_compile
    assert all(np.isfinite(values).all() for values in logs.values())
    changes = [
        np.abs(w.numpy() - old).max()
        for w, old in zip(model.trainable_variables, before, strict=True)
    ]
    assert max(changes) > 1e-4


def trained(row, steps=2, **options):
    """A method after a few updates, from the same start each time."""
    keras.utils.set_random_seed(0)
    model = row.build()
    model.compile(keras.optimizers.SGD(0.01), jit_compile=False, **options)
    data = tf.data.Dataset.from_tensors(row.batch).repeat(steps)
    model.fit(data, verbose=0, shuffle=False)
    return model


@pytest.mark.parametrize("row", METHODS, ids=name)
def test_replicas_hold_the_same_weights(row, mirrored):
    with mirrored.scope():
        model = trained(row)
    compared = 0
    for weight in model.weights:
        first, second = mirrored.experimental_local_results(weight.value)
        np.testing.assert_array_equal(first.numpy(), second.numpy())
        compared += 1
    assert compared > 10


@pytest.mark.parametrize(
    "row", [row for row in METHODS if not row.batch_statistics], ids=name
)
def test_micro_batches_make_the_update_of_the_whole_batch(row):
    """What involves several images is decided before: mixing, masks, thresholds.

    FreeMatch's fairness, a quotient of batch means, moves weights by 4e-6.
    """
    start, whole, parts = trained(row, 0), trained(row), trained(row, batch_parts=2)
    pairs = zip(start.weights, whole.weights, parts.weights, strict=True)
    moved = 0.0
    for first, one, other in pairs:
        np.testing.assert_allclose(one.numpy(), other.numpy(), rtol=1e-5, atol=1e-5)
        moved = max(moved, np.abs(one.numpy() - first.numpy()).max())
    assert moved > 1e-4


@pytest.mark.parametrize("row", METHODS, ids=name)
def test_a_restored_state_goes_on_like_the_one_that_was_kept(row, tmp_path):
    model = trained(row, 1)
    Checkpoints(tmp_path).save(model, Position(0, 1))
    restored = trained(row, 2)  # somewhere else by now
    assert Checkpoints(tmp_path).restore(restored) == Position(0, 1)
    data = tf.data.Dataset.from_tensors(row.batch)
    for one in (model, restored):
        one.fit(data, verbose=0, shuffle=False)
    assert int(restored.optimizer.iterations) == 2
    for one, other in zip(model.variables, restored.variables, strict=True):
        np.testing.assert_array_equal(one.numpy(), other.numpy())
