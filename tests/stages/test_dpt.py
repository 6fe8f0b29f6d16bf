"""A classifier labels, a generator learns and draws, and a classifier learns again."""

import csv
import json
import re

import keras
import numpy as np
import pytest

from semivit_tf.config.generator import SOLVERS
from semivit_tf.data.digits import load_digits
from semivit_tf.diffusion import solvers
from semivit_tf.stages import generate
from semivit_tf.stages.generator import fitting_patch
from semivit_tf.training.weight_files import read_arrays
from tests.stages.runs import error, run

STAGES = "--stages=finetune,pseudo_label,generator,generate,retrain,evaluate"
FLAGS = [
    "--pipeline=dpt",
    STAGES,
    "--finetune_base_learning_rate=0.05",
    "--finetune_mixup_alpha=0",
    "--finetune_cutmix_alpha=0",
    "--generator_epochs=1",
    "--generator_batch_size=128",
    "--generator_warmup_epochs=0",
    "--generator_width=8",
    "--generator_depth=2",
    "--generator_heads=2",
    "--generate_images_per_class=3",
    "--generate_steps=2",
    "--generate_batch_size=8",
    "--deterministic",
]
LABELED = np.arange(40)  # of the digits, those that the runs may see the labels of


@pytest.fixture(scope="module", autouse=True)
def small_files():
    """Lets two batches fill a file."""
    before, generate._SHARD = generate._SHARD, 16
    yield
    generate._SHARD = before


def digits(folder, hidden):
    """Writes the digits, with all labels or with those of LABELED alone."""
    parts = load_digits()
    train, test = parts.train, parts.test
    labels = train.labels.copy()
    if hidden:
        labels[np.setdiff1d(np.arange(len(labels)), LABELED)] = -1
    names = ("x_train", "y_train", "x_test", "y_test")
    arrays = (train.images[..., 0], labels, test.images[..., 0], test.labels)
    np.savez(folder / "digits.npz", **dict(zip(names, arrays, strict=True)))
    (folder / "list.csv").write_text("Index\n" + "\n".join(map(str, LABELED)) + "\n")
    return [
        "--dataset=npz",
        f"--data_dir={folder / 'digits.npz'}",
        "--labels_per_class=",
        f"--labeled_index={folder / 'list.csv'}",
    ]


@pytest.fixture(scope="module")
def folders(tmp_path_factory):
    """Two runs: one could see all labels, the other those of the labelled images."""
    found = []
    for hidden in (False, True):
        folder = tmp_path_factory.mktemp("dpt")
        keras.backend.clear_session()
        workdir = f"--workdir={folder / 'run'}"
        assert run(*FLAGS, *digits(folder, hidden), workdir) == 0
        found.append(folder / "run")
    return found


def pseudo_labels(folder):
    with open(folder / "pseudo_label" / "labels.csv", encoding="utf-8") as file:
        return [(int(row["index"]), int(row["label"])) for row in csv.DictReader(file)]


def generated(folder):
    return generate.read_images(folder / "generate")


def test_all_images_get_the_class_that_the_classifier_predicts(folders):
    from semivit_tf.backbones import create_backbone
    from semivit_tf.methods.classifier import Classifier
    from semivit_tf.training.weight_files import load_weights

    sizes = {"image_size": 8, "patch_size": 4, "width": 8, "depth": 1, "heads": 2}
    model = Classifier(create_backbone("vit", channels=1, **sizes), 10)
    load_weights(model, folders[0] / "finetune" / "weights" / "student.safetensors")
    images = load_digits().train.images
    expected = np.argmax(model(images.astype("float32")), axis=1)
    rows = pseudo_labels(folders[0])
    assert rows == list(enumerate(expected.tolist())) and len(rows) == 1438
    # Labelled images get what is predicted, too.
    truth = load_digits().train.labels[LABELED]
    assert (expected[LABELED] != truth).any()
    assert len(set(expected)) > 1


def test_true_labels_of_unlabelled_images_are_never_read(folders):
    """Without them everything has the same bytes."""
    one, other = folders
    assert pseudo_labels(one) == pseudo_labels(other)
    files = sorted(path.relative_to(one) for path in one.glob("generate/*.npz"))
    files += [
        f"{stage}/weights/student.safetensors" for stage in ("generator", "retrain")
    ]
    assert len(files) == 4
    for name in files:
        assert (one / name).read_bytes() == (other / name).read_bytes(), name


def test_each_class_gets_as_many_images_and_they_are_learned(folders):
    images, labels = generated(folders[0])
    assert images.shape == (30, 8, 8, 1) and images.dtype == "uint8"
    np.testing.assert_array_equal(np.bincount(labels), [3] * 10)
    assert len(np.unique(images.reshape(30, -1), axis=0)) == 30
    steps = {}
    for stage in ("finetune", "retrain"):
        lines = (folders[0] / stage / "metrics.jsonl").read_text().splitlines()
        steps[stage] = json.loads(lines[-1])["step"]
    # 3 epochs of 40 labelled images, or of 40 and 30, in batches of 20.
    assert steps == {"finetune": 6, "retrain": 9}


def test_a_picture_shows_each_class_in_a_row(folders):
    images, labels = generated(folders[0])
    picture = keras.utils.load_img(
        folders[0] / "generate" / "pictures" / "classes.png", color_mode="grayscale"
    )
    rows = np.asarray(picture).reshape(10, 100, 3, 100)  # 96 pixels and a gap of 4
    for label in range(10):
        own = images[labels == label, :, :, 0]
        for column in range(3):
            shown = rows[label, 4::12, column, 4::12]
            np.testing.assert_array_equal(shown, own[column])


def test_images_are_those_of_the_average_and_of_their_positions(folders):
    done = json.loads((folders[0] / "generate" / "DONE").read_text())
    assert done["images"] == 30 and done["guidance"] == 0.4 and done["seed"] == 0
    with np.load(folders[0] / "generate" / "images-00001.npz") as content:
        np.testing.assert_array_equal(content["positions"], np.arange(16, 30))
        np.testing.assert_array_equal(content["labels"], np.arange(16, 30) % 10)
    weights = folders[0] / "generator" / "weights"
    one, other = (
        read_arrays(weights / f"{name}.safetensors")[0]
        for name in ("student", "teacher")
    )
    assert one.keys() == other.keys() and len(one) > 30
    assert any(np.abs(one[name] - other[name]).max() > 1e-4 for name in one)


def test_the_evaluation_shows_both_classifiers(folders):
    results = json.loads((folders[0] / "evaluation.json").read_text())["results"]
    assert [row["stage"] for row in results] == ["finetune", "retrain"]


def test_a_stopped_generation_goes_on_with_the_next_file(folders, capsys):
    folder = folders[1] / "generate"
    before = {path.name: path.read_bytes() for path in folder.glob("*.npz")}
    assert sorted(before) == ["images-00000.npz", "images-00001.npz"]
    (folder / "images-00001.npz").unlink()
    (folder / "DONE").unlink()
    root = folders[1].parent
    assert run(*FLAGS, *digits(root, True), f"--workdir={folders[1]}") == 0
    said = capsys.readouterr().out
    assert "generator: done before" in said and "generate: 30 images" in said
    assert {path.name: path.read_bytes() for path in folder.glob("*.npz")} == before


def test_without_generated_images_the_same_classifier_comes_out(folders, tmp_path):
    nothing = "--generate_images_per_class=0"
    stages = STAGES.replace(",evaluate", "")
    data = digits(tmp_path, False)
    assert run(*FLAGS, *data, stages, nothing, f"--workdir={tmp_path / 'run'}") == 0
    one, other = (
        tmp_path / "run" / stage / "weights" / "student.safetensors"
        for stage in ("finetune", "retrain")
    )
    assert one.read_bytes() == other.read_bytes()
    first = folders[0] / "finetune" / "weights" / "student.safetensors"
    assert one.read_bytes() == first.read_bytes()


def test_photographs_and_generated_images_are_learned_together(tmp_path):
    """Images in files: the generated ones are joined as the contents of files."""
    generator = np.random.default_rng(0)
    for name in "ab":
        (tmp_path / "photos" / name).mkdir(parents=True)
        for number in range(6):
            image = generator.integers(0, 256, (12, 10 + number, 3), "uint8")
            path = tmp_path / "photos" / name / f"{number}.png"
            keras.utils.save_img(path, image, scale=False)
    photos = ["--dataset=folder", f"--data_dir={tmp_path / 'photos'}", "--image_size=8"]
    sizes = ["--finetune_batch_size=4", "--generator_batch_size=4"]
    stages = STAGES.replace(",evaluate", "")
    folder = tmp_path / "run"
    assert run(*FLAGS, *photos, *sizes, stages, f"--workdir={folder}") == 0
    images, labels = generated(folder)
    assert images.shape == (6, 8, 8, 3)
    lines = (folder / "retrain" / "metrics.jsonl").read_text().splitlines()
    # 3 epochs of 2 + 2 labelled and 6 generated images, in batches of 4.
    assert json.loads(lines[-1])["step"] == 6


def test_what_cannot_be_done_is_refused_before_anything_runs(tmp_path, capsys):
    folder = f"--workdir={tmp_path / 'run'}"
    line = error(capsys, *FLAGS, "--stages=pseudo_label", folder)
    assert "--stages=pseudo_label needs the stage finetune or semi_finetune" in line
    line = error(capsys, *FLAGS, "--stages=finetune,retrain", folder)
    assert "--stages=retrain needs the stage generate" in line
    line = error(capsys, *FLAGS, "--generator_label_dropout=0", folder)
    assert "--generate_guidance should be 0" in line
    line = error(capsys, *FLAGS, "--generator_heads=3", folder)
    assert "`width` should be even and a multiple of `heads`" in line
    line = error(capsys, "--stages=generate", folder)
    assert re.search("--stages should be of: .*export. Received: 'generate'", line)
    assert not (tmp_path / "run").exists()


def test_settings_know_the_solvers_and_a_patch_fits():
    assert SOLVERS == solvers.SOLVERS
    sizes = ((8, 8), (28, 28), (32, 32), (64, 64), (96, 64), (30, 20))
    assert [fitting_patch(size) for size in sizes] == [2, 4, 4, 8, 8, 2]
