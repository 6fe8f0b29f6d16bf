"""Each new image is answered exactly once, as it would be served, in all formats."""

import csv
import json
import os
import shutil

import keras
import numpy as np
import pytest
import tensorflow as tf
from PIL import Image

from semivit_tf.cli import main
from semivit_tf.export import Calibration, export_saved_model
from semivit_tf.methods.classifier import Classifier
from semivit_tf.stages import answer_shards, predict
from semivit_tf.stages.answer_shards import AnswerShards
from tests.data.files import write_picture
from tests.methods.small import sharpen, small_vit

NAMES = ("cat", 'dog, "big"', "<b>été</b>")
AWKWARD = ["été 雪.jpg", 'quo"te,.png', "new\nline.png", "deep/er/=1+1.png"]
BAD = {"empty.png": b"", "text.jpg": b"no image", "broken.png": b"\x89PNG\r\n\x1a\n123"}


@pytest.fixture(scope="module")
def exported(tmp_path_factory):
    """A model that abstains and gives sets."""
    keras.utils.set_random_seed(0)
    model = Classifier(small_vit(image_size=16, channels=3), 3)
    sharpen(model, scale=30)
    folder = tmp_path_factory.mktemp("exported")
    calibration = Calibration((2.0, 1.0, 0.5), 0.6, 0.3)
    export_saved_model(model, folder, NAMES, version=2, calibration=calibration)
    return folder


@pytest.fixture(scope="module")
def images(tmp_path_factory):
    """Images of different sizes and formats with awkward names, and bad ones."""
    folder = tmp_path_factory.mktemp("new")
    for number, name in enumerate(AWKWARD + [f"{i}.png" for i in range(20)]):
        write_picture(folder / name, number, (16 + number % 3, 24))
    write_picture(folder / os.fsdecode(b"\xff.png"), 50)
    for name, content in BAD.items():
        (folder / name).write_bytes(content)
    colored = Image.new("P", (4, 4))
    colored.putpalette([255, 0, 0] * 256)
    colored.save(folder / "colored.bmp")
    return folder


def ask(exported, images, file, *flags):
    given = (f"--model={exported}", f"--images={images}", f"--predictions={file}")
    return main(["main.py", "--stages=predict", *given, *flags])


def read_csv(file):
    with open(file, encoding="utf-8", newline="") as opened:
        return list(csv.DictReader(opened))


@pytest.fixture(scope="module")
def table(exported, images, tmp_path_factory):
    """The rows of a finished table, and its path."""
    file = tmp_path_factory.mktemp("answers") / "answers.csv"
    assert ask(exported, images, file, "--top_k=2", "--predict_batch_size=7") == 0
    return read_csv(file), file


def test_each_image_has_one_row(table, images):
    rows, file = table
    paths = [row["path"] for row in rows]
    assert len(set(paths)) == len(paths) == len(AWKWARD) + 20 + 1 + len(BAD) + 1
    assert {*AWKWARD, *BAD, "\\xff.png", "colored.bmp"} < set(paths)
    assert [path.name for path in file.parent.iterdir() if "parts" in path.name] == []


def test_answers_are_those_that_are_served(table, exported, images):
    rows, _ = table
    signature = tf.saved_model.load(str(exported / "2")).signatures["serving_bytes"]
    good = [row for row in rows if not row["error"]]
    assert len(good) == len(AWKWARD) + 21
    for row in good:
        name = b"\xff.png" if row["path"] == "\\xff.png" else os.fsencode(row["path"])
        with open(os.path.join(os.fsencode(images), name), "rb") as file:
            served = signature(image_bytes=tf.constant([file.read()]))
        served = {name: value.numpy()[0] for name, value in served.items()}
        top = [name.decode() for name in served["top_class_names"]]
        assert [row["answer"], row["class_2"]] == top[:2]
        given = [float(row["probability"]), float(row["probability_2"])]
        np.testing.assert_allclose(given, served["top_probabilities"][:2], atol=1e-4)
        assert row["abstain"] == str(bool(served["abstain"])).lower()
        expected = [NAMES[place] for place in np.flatnonzero(served["class_set"])]
        assert json.loads(row["class_set"]) == expected
    assert len({row["answer"] for row in good}) > 1
    assert len({row["abstain"] for row in good}) == 2


def test_bad_images_are_listed_with_the_reason(table):
    rows, file = table
    errors = {row["path"]: row["error"] for row in rows if row["error"]}
    assert errors == {
        "empty.png": "empty file",
        "text.jpg": "not an image: text",
        "broken.png": "truncated PNG",
        "colored.bmp": "BMP with a colour table, which TensorFlow ignores",
    }
    assert all(not row["answer"] for row in rows if row["error"])
    summary = json.loads((file.parent / "answers.csv.json").read_text())
    assert (summary["images"], summary["unreadable"]) == (29, 4)
    assert sum(summary["answers"].values()) == 25
    abstained = sum(row["abstain"] == "true" for row in rows)
    assert summary["abstained"] == abstained


def test_batches_that_lie_across_shards_make_the_same_table(
    table, exported, images, tmp_path, monkeypatch
):
    monkeypatch.setattr(answer_shards, "SHARD", 3)
    file = tmp_path / "answers.csv"
    assert ask(exported, images, file, "--top_k=2", "--predict_batch_size=4") == 0
    for row, expected in zip(read_csv(file), table[0], strict=True):
        for name in row:
            if name.startswith("probability") and row[name]:
                assert len(row[name]) <= 8  # six digits
                assert abs(float(row[name]) - float(expected[name])) < 1e-4
            else:
                assert row[name] == expected[name]


def test_bad_images_alone_are_a_table_too(exported, images, tmp_path, monkeypatch):
    monkeypatch.setattr(answer_shards, "SHARD", 2)
    table = images / "bad.csv"
    table.write_text("path\n" + "\n".join([*BAD, "not there.png"]) + "\n")
    assert ask(exported, table, tmp_path / "bad.csv") == 0
    table.unlink()
    rows = read_csv(tmp_path / "bad.csv")
    assert [row["path"] for row in rows] == [*BAD, "not there.png"]
    assert rows[-1]["error"] == "file not found, or a broken link"


# === Going on ===


def broken_off(exported, images, file, monkeypatch, after):
    """Stops after some shards, as Ctrl-C does; returns how many are there."""
    monkeypatch.setattr(answer_shards, "SHARD", 4)
    write = AnswerShards.write

    def stop(self, number, rows):
        if number == after:
            raise KeyboardInterrupt
        write(self, number, rows)

    with monkeypatch.context() as patched:
        patched.setattr(AnswerShards, "write", stop)
        assert ask(exported, images, file, "--top_k=2") == 130
    return sorted(file.with_name(f"{file.name}.parts").glob("answers-*"))


def test_a_stopped_table_goes_on_with_what_was_listed(
    table, exported, images, tmp_path, monkeypatch, capsys
):
    copied = shutil.copytree(images, tmp_path / "new")
    file = tmp_path / "answers.csv"
    there = broken_off(exported, copied, file, monkeypatch, after=3)
    assert len(there) == 3 and not file.exists()
    before = [path.stat().st_mtime_ns for path in there]
    write_picture(copied / "later.png", 77)
    real, asked = predict.readable_images, []

    def counted(chunks, *rest):
        asked.extend(number for chunk in chunks() for number, _ in chunk)
        assert [path.stat().st_mtime_ns for path in there] == before
        return real(chunks, *rest)

    monkeypatch.setattr(predict, "readable_images", counted)
    assert ask(exported, copied, file, "--top_k=2") == 0
    assert "predict: 12 of 29 images answered before" in capsys.readouterr().out
    assert asked == list(range(12, 29))
    paths = [row["path"] for row in read_csv(file)]
    assert paths == [row["path"] for row in table[0]]
    written = file.stat().st_mtime_ns
    assert ask(exported, copied, file, "--top_k=2") == 0  # finished: as it is
    assert file.stat().st_mtime_ns == written
    assert "29 images in" in capsys.readouterr().out
    assert ask(exported, copied, file, "--top_k=1") == 2
    assert "Differing: --top_k=1 (was 2)" in capsys.readouterr().err


# === What is refused ===


@pytest.mark.parametrize(
    ("flags", "message"),
    [
        (["--stages=predict"], "--stages=predict needs --images"),
        (["--images=x"], "is for the stage predict or check_drift, which is not asked"),
        (
            ["--stages=predict", "--images=x", "--predictions=a.xls"],
            ".csv, .jsonl",
        ),
        (["--stages=predict", "--images=x", "--model=/nowhere"], "an exported model"),
        (
            ["--stages=predict", "--images=x", "--workdir=/nowhere"],
            "needs the stage",
        ),
    ],
)
def test_one_line_says_what_is_missing(flags, message, capsys, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert main(["main.py", *flags]) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert message in line
    assert not list(tmp_path.iterdir())


def test_a_damaged_model_is_named(exported, images, tmp_path, capsys):
    broken = shutil.copytree(exported / "2", tmp_path / "broken")
    (broken / "saved_model.pb").write_bytes(b"no model")
    assert ask(broken, images, tmp_path / "a.csv") == 2
    line = capsys.readouterr().err
    assert f"{broken} cannot be loaded" in line and line.count("\n") == 1
    (broken / "assets" / "class_names.txt").unlink()
    assert ask(broken, images, tmp_path / "a.csv") == 2
    assert "exported by semivit_tf" in capsys.readouterr().err


def test_images_that_are_not_there_are_refused(exported, tmp_path, capsys):
    assert ask(exported, tmp_path / "none", tmp_path / "a.csv") == 2
    assert "should be a folder of images, a table" in capsys.readouterr().err
    assert not list(tmp_path.iterdir())


def test_a_run_folder_answers_without_its_data(exported, images, tmp_path, capsys):
    """Only what was exported is looked at; the highest version answers."""
    workdir = tmp_path / "run"
    shutil.copytree(exported, workdir / "export")
    flags = ["--stages=predict", f"--images={images}", "--top_k=2"]
    assert main(["main.py", *flags, f"--workdir={workdir}"]) == 0
    (file,) = (workdir / "predictions").glob("*.csv")
    assert file.stem == images.name and len(read_csv(file)) == 29
    assert "4 of them cannot be read" in capsys.readouterr().out
