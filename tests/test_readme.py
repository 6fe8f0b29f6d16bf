"""What the README shows is run."""

import json
import pathlib
import re
import runpy

import numpy as np
import pytest
import tensorflow as tf

ROOT = pathlib.Path(__file__).parents[1]
README = (ROOT / "README.md").read_text(encoding="utf-8")


def script():
    (found,) = [
        s for s in re.findall(r"```python\n(.*?)```", README, re.S) if ".fit" in s
    ]
    return found


def test_the_script_of_the_readme_runs(tmp_path, monkeypatch):
    """As printed, but for the number of epochs."""
    text = script()
    assert len(text.splitlines()) <= 25
    shortened = text.replace("epochs=20", "epochs=2")
    assert shortened != text
    monkeypatch.chdir(tmp_path)
    variables = {}
    exec(compile(shortened, "README.md", "exec"), variables)
    data, model = variables["data"], variables["model"]
    served = tf.saved_model.load("served/digits/1")
    images, labels = next(iter(data.test()))
    answer = served.signatures["serving_default"](images=images)
    expected = tf.nn.softmax(model.teacher(images))
    np.testing.assert_allclose(answer["probabilities"], expected, atol=1e-5)
    named = np.array(data.class_names, "S")[answer["class_index"]]
    np.testing.assert_array_equal(answer["class_name"], named)


@pytest.mark.parametrize(
    "script",
    [
        "experiments/digits_40_labels.py",
        "experiments/fashion_mnist_features.py",
        "experiments/kills.py",
        "experiments/benchmarks/augmentation.py",
        "experiments/benchmarks/duplicates.py",
        "experiments/benchmarks/mae_step.py",
        "experiments/benchmarks/plan.py",
        "experiments/benchmarks/published_weights.py",
        "experiments/benchmarks/rematerialize.py",
        "experiments/benchmarks/replicas.py",
        "experiments/benchmarks/semi_step.py",
        "experiments/benchmarks/upkeep.py",
    ],
)
def test_tables_are_made_from_the_committed_results(script, monkeypatch):
    monkeypatch.syspath_prepend((ROOT / script).parent)
    module = runpy.run_path(str(ROOT / script))
    result = json.loads(module["RESULT"].read_text())
    assert module["table"](result) in README
    assert result["command"] in README
