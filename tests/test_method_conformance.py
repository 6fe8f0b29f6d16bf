"""What every method of the table does in training: replicas, parts, stops.

To compile a training step takes seconds, so what is compared shares what is trained:
all tests of a row come one after the other, on the same worker.
"""

import types

import keras
import numpy as np
import pytest

from semivit_tf.training.checkpoints import Checkpoints, Position
from tests.conformance import METHODS, arrays, assert_learned, fit, name
from tests.memory import give_back


@pytest.fixture(
    scope="module",
    params=[
        pytest.param(row, id=name(row), marks=pytest.mark.xdist_group(name(row)))
        for row in METHODS
    ],
)
def row(request):
    """Gives back, after the last test of a row, what its steps have compiled."""
    yield request.param
    give_back()


def compiled(row, **options):
    """A method before its first update, the same each time."""
    keras.utils.set_random_seed(0)
    model = row.build()
    optimizer = keras.optimizers.SGD(0.01, momentum=0.9)
    model.compile(optimizer, jit_compile=False, **options)
    return model


def state(model):
    """All that a method has learned, drawn and counted."""
    return arrays([*model.variables, *model.optimizer.variables])


@pytest.fixture(scope="module")
def whole(row, tmp_path_factory):
    """A method that takes two steps with the whole batch, and what it went through."""
    model = compiled(row)
    noted = types.SimpleNamespace(model=model, before=arrays(model.trainable_variables))
    noted.logs = fit(model, row)
    noted.first_state = state(model)
    noted.folder = tmp_path_factory.mktemp("checkpoints")
    Checkpoints(noted.folder).save(model, Position(0, 1))
    fit(model, row)
    noted.second_state, noted.weights = state(model), arrays(model.weights)
    return noted


@pytest.fixture(scope="module")
def parts(row):
    """A method that takes a step after the other in micro-batches."""
    model = compiled(row, batch_parts=2)
    logs = fit(model, row)
    fit(model, row)
    return types.SimpleNamespace(model=model, logs=logs, weights=arrays(model.weights))


def assert_same(found, expected):
    for one, other in zip(found, expected, strict=True):
        np.testing.assert_array_equal(one, other)


def test_training_steps_run_as_tensorflow_compiles_them(whole):
    after = arrays(whole.model.trainable_variables)
    assert_learned(whole.logs, whole.before, after)


def test_replicas_hold_the_same_weights(row, mirrored):
    with mirrored.scope():
        model = compiled(row)
        fit(model, row, steps=2)
    compared = 0
    for weight in model.weights:
        first, second = mirrored.experimental_local_results(weight.value)
        np.testing.assert_array_equal(first.numpy(), second.numpy())
        compared += 1
    assert compared > 10


def test_micro_batches_make_the_update_of_the_whole_batch(row, whole, parts):
    """What involves several images is decided before: mixing, masks, thresholds.

    FreeMatch's fairness, a quotient of batch means, moves weights by 4e-6.
    """
    if row.batch_statistics:
        pytest.skip("each micro-batch has statistics of its own")
    for one, other in zip(whole.weights, parts.weights, strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-5, atol=1e-5)
    assert parts.model.optimizer.iterations.numpy() == 2
    assert parts.logs.keys() == whole.logs.keys()
    for term in whole.logs.keys() - {"loss", "fairness_loss"}:
        assert parts.logs[term] == pytest.approx(whole.logs[term], rel=1e-5, abs=1e-6)
    if "fairness_loss" not in whole.logs:
        assert parts.logs["loss"] == pytest.approx(whole.logs["loss"], rel=1e-5)


def test_a_restored_state_goes_on_like_the_one_that_was_kept(row, whole, parts):
    """Both are somewhere else by now; one goes on, the other is another object."""
    for model in (whole.model, parts.model):
        assert Checkpoints(whole.folder).restore(model) == Position(0, 1)
        assert_same(state(model), whole.first_state)
    fit(whole.model, row)
    assert int(whole.model.optimizer.iterations) == 2
    assert_same(state(whole.model), whole.second_state)


def test_a_saved_method_is_loaded_and_goes_on(row, whole, tmp_path):
    whole.model.save(tmp_path / "model.keras")
    again = keras.saving.load_model(tmp_path / "model.keras")
    assert_same(arrays(again.weights), arrays(whole.model.weights))
    assert len(again.weights) > 10
    assert_same(
        arrays(again.optimizer.variables), arrays(whole.model.optimizer.variables)
    )
    fit(again, row)
    assert int(again.optimizer.iterations) == 3
