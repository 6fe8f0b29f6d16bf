"""The notebook runs from top to bottom."""

import json
import pathlib

import numpy as np
import tensorflow as tf

NOTEBOOK = pathlib.Path(__file__).parents[1] / "docs" / "digits.ipynb"
SHORTER = {
    "width=64, depth=4": "width=16, depth=1",
    "epochs=60": "epochs=2",
    "steps_per_epoch=150": "steps_per_epoch=20",
    "steps_per_epoch=100": "steps_per_epoch=4",
}


def test_the_notebook_runs(tmp_path, monkeypatch):
    """As it is committed, but for the number of steps and the size of the network."""
    cells = json.loads(NOTEBOOK.read_text(encoding="utf-8"))["cells"]
    code = [cell for cell in cells if cell["cell_type"] == "code"]
    assert not any(cell["outputs"] for cell in code)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("MPLBACKEND", "agg")
    found, replaced = {}, set()
    for number, cell in enumerate(code):
        source = "".join(cell["source"])
        for long, short in SHORTER.items():
            replaced |= {long} if long in source else set()
            source = source.replace(long, short)
        exec(compile(source, f"cell {number}", "exec"), found)
    assert replaced == set(SHORTER)
    losses = found["history"].history["loss"]
    assert losses[-1] < losses[0]
    for stage in ("fine_tuned", "semi_supervised"):
        assert 0 <= found[stage]["accuracy"] <= 1 and np.isfinite(found[stage]["loss"])
    served = tf.saved_model.load(str(found["path"])).signatures["serving_default"]
    images = tf.cast(found["images"], tf.float32)
    expected = tf.nn.softmax(found["model"].teacher(images))
    answers = served(images=images)["probabilities"]
    np.testing.assert_allclose(answers, expected, atol=1e-5)
