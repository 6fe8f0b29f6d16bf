"""What the README and docs/ show is run."""

import pathlib
import re

import numpy as np
import tensorflow as tf
from safetensors.numpy import load_file

import semivit_tf

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


def code(document, name=""):
    """Returns the last block of Python of a document that has a name in it."""
    text = (ROOT / "docs" / document).read_text(encoding="utf-8")
    blocks = re.findall(r"^```python\n(.*?)^```", text, re.S | re.M)
    return [block for block in blocks if name in block][-1]


def test_rand_augment_is_called_as_shown():
    image = np.random.default_rng(0).integers(0, 256, (32, 32, 3), "uint8")
    given = {"semivit_tf": semivit_tf, "image": image}
    changed = [eval(code("data.md"), given) for _ in range(40)]
    assert all(one.shape == image.shape and one.dtype == "uint8" for one in changed)
    assert any((one != image).any() for one in changed)


def test_published_weights_are_loaded_and_saved_as_shown(tmp_path, monkeypatch, capsys):
    def classifier():
        sizes = {"width": 8, "depth": 1, "heads": 2}
        vit = semivit_tf.ViT(image_size=8, patch_size=4, **sizes)
        return semivit_tf.Classifier(vit, num_classes=3)

    monkeypatch.chdir(tmp_path)
    published, model = classifier(), classifier()
    semivit_tf.weights.save_timm(published, "mae_pretrain_vit_base.pth")
    exec(code("weights.md"), {"semivit_tf": semivit_tf, "model": model})
    assert "loaded" in capsys.readouterr().out
    images = np.random.default_rng(0).integers(0, 256, (2, 8, 8, 3), "uint8")
    np.testing.assert_array_equal(model(images), published(images))
    one, other = map(load_file, ("vit.safetensors", "mae_pretrain_vit_base.pth"))
    assert one and one.keys() == other.keys()
    for name in one:
        np.testing.assert_array_equal(one[name], other[name])


def test_the_method_of_ones_own_in_the_docs_selects_by_the_margin():
    variables = {}
    exec(code("methods.md", "Margin"), variables)
    backbone = semivit_tf.ViT(8, 4, 8, 1, 2, channels=1)
    model = variables["Margin"](backbone, 3)
    weight = model.select(tf.constant([[0.7, 0.2, 0.1], [0.2, 0.4, 0.4]]))
    np.testing.assert_allclose(weight, [0.5, 0.0], atol=1e-6)


def test_images_are_generated_as_shown():
    """As printed, but for the number of updates and the size of the network."""
    text = code("methods.md", "sample(")
    shortened = text.replace("steps_per_epoch=500, epochs=4", "steps_per_epoch=2")
    shortened = shortened.replace("width=64, depth=4", "width=8, depth=2")
    assert "epochs=" not in shortened and "width=8" in shortened
    variables = {}
    exec(compile(shortened, "methods.md", "exec"), variables)
    samples = variables["samples"]
    assert samples.shape == (10, 8, 8, 1) and samples.dtype == "uint8"
    assert samples.std() > 10
