"""What every layer, backbone and method of the table has to be able to do."""

import ast
import json
import pathlib

import keras
import numpy as np
import pytest
import tensorflow as tf

from tests.conformance import (
    ABSTRACT,
    BACKBONES,
    DIFFUSION,
    LAYERS,
    METHODS,
    MIXINGS,
    SCHEDULES,
    SELECTIONS,
    name,
    noise,
)

PACKAGE = pathlib.Path(__file__).parents[1] / "semivit_tf"
NETWORKS = [*LAYERS, *BACKBONES, *DIFFUSION, *METHODS]
ROWS = [*NETWORKS, *SELECTIONS]


def outputs(model, row):
    """Returns what a network gives as a list: those of two streams give two."""
    return [np.asarray(one) for one in keras.tree.flatten(model(*row.inputs))]


def assert_close(found, expected, atol):
    for one, other in zip(keras.tree.flatten(found), expected, strict=True):
        np.testing.assert_allclose(one, other, atol=atol)


def plain(config):
    """Returns a configuration as a file has it: without tuples."""
    return json.loads(json.dumps(config, default=str))


def test_no_public_class_is_missing():
    found = set()
    for folder in ("layers", "backbones", "diffusion", "methods"):
        for path in (PACKAGE / folder).rglob("*.py"):
            for node in ast.parse(path.read_text(encoding="utf-8")).body:
                if isinstance(node, ast.ClassDef):
                    bases = {ast.unparse(base) for base in node.bases}
                    if folder == "diffusion" and not node.decorator_list:
                        continue  # not rebuilt from a configuration
                    if bases - {"keras.callbacks.Callback", "keras.metrics.Metric"}:
                        found.add(node.name)
    rows = {row.name for row in ROWS}
    rows |= {type(plain).__name__ for plain in (*MIXINGS, *SCHEDULES)}
    assert found - ABSTRACT == rows


@pytest.mark.parametrize("row", ROWS, ids=name)
def test_a_copy_gives_the_same_outputs_eagerly_in_a_graph_and_by_xla(row):
    """It is made from the configuration and gets the weights."""
    model = row.build()
    model(*row.inputs)
    config = model.get_config()
    start = model.get_weights()  # a selection learns from what it judges
    expected = outputs(model, row)
    # Keras changes the one that it is given.
    again = type(model).from_config(model.get_config())
    again(*row.inputs)
    assert plain(again.get_config()) == plain(config)
    shapes = [tuple(w.shape) for w in model.weights]
    assert [tuple(w.shape) for w in again.weights] == shapes
    again.set_weights(start)
    assert_close(outputs(again, row), expected, atol=1e-6)
    model.set_weights(start)
    compiled = tf.function(lambda *inputs: model(*inputs))
    assert_close(compiled(*row.inputs), expected, atol=1e-5)
    model.set_weights(start)
    static = tf.function(lambda *inputs: model(*inputs), jit_compile=True)
    assert_close(static(*row.inputs), expected, atol=1e-4)
    shapes = keras.tree.map_structure(np.shape, row.inputs)
    shapes = model.compute_output_shape(*shapes)
    shapes = [shapes] if len(expected) == 1 else list(shapes)
    assert shapes == [one.shape for one in expected]


@pytest.mark.parametrize("mixing", MIXINGS, ids=lambda mixing: type(mixing).__name__)
def test_mixings_are_rebuilt_and_draw_the_same_in_a_graph(mixing):
    again = type(mixing).from_config(mixing.get_config())
    assert again == mixing
    rows = noise(6, 8, 8, 1), noise(6, 3), np.full(6, 0.5, "float32"), np.ones(6)
    rows = [tf.constant(array, tf.float32) for array in rows]
    expected = mixing(*rows, seed=1)
    function = tf.function(lambda *rows: again(*rows, seed=1))
    for one, other in zip(function(*rows), expected, strict=True):
        np.testing.assert_allclose(one, other, atol=1e-6)


@pytest.mark.parametrize("row", SELECTIONS, ids=name)
def test_selections_judge_in_float32_whatever_the_precision(row):
    (expected,) = outputs(row.build(), row)
    keras.config.set_dtype_policy("mixed_bfloat16")
    try:
        found = row.build()(*row.inputs)
    finally:
        keras.config.set_dtype_policy("float32")
    assert found.dtype == tf.float32
    np.testing.assert_array_equal(found, expected)


@pytest.mark.parametrize("row", NETWORKS, ids=name)
def test_mixed_precision_computes_in_bfloat16_and_keeps_float32_weights(row):
    keras.config.set_dtype_policy("mixed_bfloat16")
    try:
        model = row.build()
        results = keras.tree.flatten(model(*row.inputs))
    finally:
        keras.config.set_dtype_policy("float32")
    for result in results:
        assert result.dtype == tf.bfloat16
        assert np.isfinite(np.asarray(result, "float32")).all()
    assert {keras.backend.standardize_dtype(w.dtype) for w in model.weights} <= {
        "float32"
    }


@pytest.mark.parametrize("row", [*BACKBONES, *DIFFUSION], ids=name)
def test_keras_file_round_trip(row, tmp_path):
    """That of methods is in `test_method_conformance.py`."""
    model = row.build()
    model.save(tmp_path / "model.keras")
    again = keras.saving.load_model(tmp_path / "model.keras")
    for a, b in zip(model.weights, again.weights, strict=True):
        np.testing.assert_array_equal(a.numpy(), b.numpy())
    assert len(model.weights) > 10


@pytest.mark.parametrize("row", [*BACKBONES, *DIFFUSION, *METHODS], ids=name)
def test_saved_models_give_the_same_outputs(row, tmp_path):
    model = row.build()
    expected = outputs(model, row)
    specification = [
        tf.TensorSpec((None, *inputs.shape[1:]), inputs.dtype) for inputs in row.inputs
    ]
    model.export(tmp_path, input_signature=specification, verbose=False)
    loaded = tf.saved_model.load(str(tmp_path))
    served = loaded.serve(*map(tf.constant, row.inputs))
    assert_close(served, expected, atol=1e-5)
