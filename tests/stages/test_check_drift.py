"""Drift is told from a run or a model alone; what cannot be told is said in a line."""

import json
import os
import shutil

import numpy as np
import pytest
import tensorflow as tf

from semivit_tf.cli import main
from semivit_tf.data.digits import load_digits
from semivit_tf.export import DriftReference
from semivit_tf.export.drift_reference import FILE
from tests.stages.runs import run

AWKWARD = ["été 雪.png", 'quo"te,.png', "new\nline.png", "<script>.png"]


def write(folder, images):
    """Writes images under awkward names first, and one that cannot be read."""
    folder.mkdir()
    for number, image in enumerate(images):
        name = AWKWARD[number] if number < len(AWKWARD) else f"{number}.png"
        (folder / name).write_bytes(tf.io.encode_png(image).numpy())
    (folder / "bad.png").write_bytes(b"no image")
    return folder


@pytest.fixture(scope="module")
def exported(tmp_path_factory):
    """The folder of a run of two replicas that has exported a network of digits."""
    folder = tmp_path_factory.mktemp("runs") / "été 'exported'"
    flags = ("--stages=finetune,export", "--strategy=mirrored")
    assert run(f"--workdir={folder}", *flags) == 0
    return folder


@pytest.fixture(scope="module")
def folders(tmp_path_factory):
    # Spread over all: in the data set, digits of the same writers are neighbours.
    root, images = tmp_path_factory.mktemp("new"), load_digits().train.images[::12]
    return {
        "alike": write(root / "alike", images),
        "inverted": write(root / "inverted", 255 - images[:60]),
        "few": write(root / "few", images[:19]),
    }


def check(*flags):
    return main(["main.py", "--stages=check_drift", *map(str, flags)])


def refused(capsys, *flags):
    capsys.readouterr()
    assert check(*flags) == 2
    (line,) = capsys.readouterr().err.splitlines()
    return line


def test_the_reference_is_what_the_served_model_says_of_the_test_images(exported):
    served = tf.saved_model.load(str(exported / "export" / "1"))
    images = load_digits().test.images.astype("float32")
    found = served.signatures["features"](images=tf.constant(images))
    reference = DriftReference.read(exported / "export" / "1" / "assets" / FILE)
    assert reference.part == "test" and reference.features.dtype == np.float16
    np.testing.assert_allclose(
        reference.features, found["features"].numpy(), rtol=1e-3, atol=1e-3
    )
    np.testing.assert_allclose(reference.confidences, found["confidence"], rtol=1e-5)
    answers = served.signatures["serving_default"](images=tf.constant(images))
    highest = answers["probabilities"].numpy().max(axis=1)
    np.testing.assert_allclose(reference.confidences, highest, rtol=1e-5)


def test_images_like_the_others_raise_no_alarm(exported, folders, capsys):
    asked = (f"--workdir={exported}", f"--images={folders['alike']}")
    assert check(*asked) == 0
    found = json.loads((exported / "drift" / "alike.drift.json").read_text())
    assert found["like"] and found["p_value"] >= 0.05
    assert (found["images"], found["compared"], found["unreadable"]) == (121, 120, 1)
    assert found["reference"] == {"part": "test", "images": 359}
    text = capsys.readouterr().out
    assert "120 of 121 images are like the 359 test images of the model" in text
    assert "1 of them cannot be read: bad.png (not an image: text)" in text
    assert check(*asked) == 0
    assert found == json.loads((exported / "drift" / "alike.drift.json").read_text())


def test_inverted_images_are_unlike_by_the_model_alone(
    exported, folders, tmp_path, monkeypatch, capsys
):
    monkeypatch.chdir(tmp_path)
    assert (
        check(f"--model={exported / 'export'}", f"--images={folders['inverted']}") == 0
    )
    found = json.loads((tmp_path / "inverted.drift.json").read_text())
    assert not found["like"]
    assert found["features"]["p_value"] == 0.001 and found["p_value"] <= 0.002
    paths = [one["path"] for one in found["strangest"]]
    assert len(set(paths)) == 8 and set(paths) <= set(os.listdir(folders["inverted"]))
    verdict, bad, file = capsys.readouterr().out.strip().splitlines()[-3:]
    assert "60 of 61 images are unlike the 359 test images" in verdict
    assert bad.startswith("1 of them cannot be read") and file == "inverted.drift.json"


def test_some_of_many_are_drawn(exported, folders):
    asked = (f"--workdir={exported}", f"--images={folders['alike']}/*.png")
    assert check(*asked, "--drift_images=30", "--seed=3") == 0
    found = json.loads((exported / "drift" / "images.drift.json").read_text())
    assert found["images"] == 121 and 29 <= found["compared"] <= 30


def test_what_cannot_be_told_is_said_in_a_line(exported, folders, tmp_path, capsys):
    model = shutil.copytree(exported / "export" / "1", tmp_path / "model")
    asked = f"--model={model}", f"--images={folders['few']}"
    assert "at least 20 images that can be read" in refused(capsys, *asked)
    file = model / "assets" / FILE
    file.write_bytes(file.read_bytes()[:-1] + b"\0\0")
    assert f"{FILE} is not as it was written" in refused(capsys, *asked)
    file.unlink()
    assert "model has no reference that new images could" in refused(capsys, *asked)
    line = refused(capsys, f"--workdir={tmp_path / 'none'}", asked[1])
    assert "--stages=check_drift needs the stage export" in line
    line = refused(capsys, f"--workdir={exported}")
    assert "--stages=check_drift needs --images" in line
    line = refused(capsys, f"--workdir={exported}", "--images=nowhere")
    assert "Received: 'nowhere'" in line


def test_large_features_are_kept_in_float32(tmp_path):
    features = np.array([[1.0, 2.5], [1e5, -3.0]], "float32")
    for scale, kind in ((1, "float32"), (0.5, "float16")):
        made = DriftReference(features * scale, np.array([0.5, 0.75]), "validation")
        made.write(tmp_path / FILE)
        found = DriftReference.read(tmp_path / FILE)
        assert found.features.dtype == kind and found.part == "validation"
        np.testing.assert_allclose(found.features, features * scale, rtol=1e-3)
        assert found.confidences.tolist() == [0.5, 0.75]
