"""What the README shows is run."""

import pathlib
import re

import numpy as np
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
