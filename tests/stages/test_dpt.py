"""A classifier labels, a generator learns and draws, and a classifier learns again."""

import csv
import errno
import json
import os
import re
import shutil

import keras
import numpy as np
import pytest
from sklearn.metrics import precision_score, recall_score

from semivit_tf.backbones.plain_cnn import plain_cnn
from semivit_tf.config.generator import SOLVERS
from semivit_tf.data.digits import load_digits
from semivit_tf.diffusion import solvers
from semivit_tf.evaluation.frechet_distance import frechet_distance
from semivit_tf.methods.classifier import Classifier
from semivit_tf.stages import generate
from semivit_tf.stages.generator import fitting_patch
from semivit_tf.training.checkpoints import Checkpoints
from semivit_tf.training.weight_files import load_weights, read_arrays
from tests.stages.runs import DPT, error, run

STAGES = "--stages=finetune,pseudo_label,generator,generate,retrain,evaluate"
FLAGS = [*DPT, STAGES]
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


# === The judge ===


@pytest.fixture(scope="module")
def judged(folders):
    """What the judge found in the run that could see all labels."""
    data = digits(folders[0].parent, False)
    assert run(*FLAGS, *data, "--stages=judge", f"--workdir={folders[0]}") == 0
    return json.loads((folders[0] / "judge.json").read_text())


@pytest.fixture(scope="module")
def judge(folders, judged):
    """The judge's network, to ask it again."""
    model = Classifier(plain_cnn((8, 8, 1)), 10)
    load_weights(model, folders[0] / "judge" / "weights" / "student.safetensors")
    return model


def seen(judge, images):
    features = judge.backbone(images.astype("float32"))
    return np.asarray(features), np.argmax(judge.head(features), axis=1)


def test_the_judge_knows_all_labels_and_says_how_good_it_is(judge, judged):
    test = load_digits().test
    _, answers = seen(judge, test.images)
    accuracy = np.mean(answers == test.labels)
    assert (
        judged["judged_by"]["labels"] == 1438 and judged["judged_by"]["images"] == 359
    )
    assert judged["judged_by"]["network"] == "plain_cnn"
    assert accuracy > 0.6 and accuracy == pytest.approx(judged["judged_by"]["accuracy"])


def test_generated_images_are_compared_with_test_images(folders, judge, judged):
    images, labels = generated(folders[0])
    features, answers = seen(judge, images)
    assert judged["images"] == judged["generated"]["images"] == 30
    assert judged["agreement"] == pytest.approx(np.mean(answers == labels))
    one = np.mean(answers[labels == 4] == 4)
    assert judged["classes"]["4"] == pytest.approx(one)
    real, _ = seen(judge, load_digits().test.images)
    found = judged["generated"]["frechet_distance"]
    assert found == pytest.approx(frechet_distance(features, real), rel=1e-4)
    # After an epoch images are hardly better than noise; training images are.
    assert judged["training"]["frechet_distance"] < found / 2
    assert judged["training"]["precision"] > judged["noise"]["precision"]
    near = judged["nearest_training_image"]
    assert 0 < near["held_out"] < near["generated"]


def test_pseudo_labels_have_a_precision_and_a_recall_of_each_class(folders, judged):
    truth = load_digits().train.labels
    labels = [label for _, label in pseudo_labels(folders[0])]
    for name, score in (("precision", precision_score), ("recall", recall_score)):
        expected = score(truth, labels, average=None, zero_division=0)
        found = [row[name] for row in judged["pseudo_labels"]]
        np.testing.assert_allclose(found, expected)


def read_picture(path):
    """Returns a picture's images `[rows, columns, 8, 8]`, without the gaps."""
    pixels = np.asarray(keras.utils.load_img(path, color_mode="grayscale"))
    rows, columns = (side // 100 for side in pixels.shape)
    parts = pixels.reshape(rows, 100, columns, 100).swapaxes(1, 2)
    return parts[:, :, 4::12, 4::12]


def test_pictures_show_solvers_guidance_and_what_may_be_copied(folders, judged):
    folder = folders[0] / "judge" / "pictures"
    ways = [f"dpm_solver_pp_2m-guidance-{guidance}" for guidance in (0, 1, 2)]
    ways += [f"{s}-guidance-0.4" for s in ("ancestral", "ddim", "dpm_solver_2")]
    names = sorted(path.stem for path in folder.iterdir())
    assert names == sorted([*ways, "nearest"])
    pictures = np.stack([read_picture(folder / f"{way}.png") for way in ways])
    assert pictures.shape == (6, 10, 2, 8, 8)
    assert len(np.unique(pictures.reshape(6, -1), axis=0)) == 6
    nearest = read_picture(folder / "nearest.png")
    images, _ = generated(folders[0])
    np.testing.assert_array_equal(nearest[:, 0], images[:24, :, :, 0])
    training = {image.tobytes() for image in load_digits().train.images[..., 0]}
    shown = {image.tobytes() for image in nearest[:, 1:].reshape(-1, 8, 8)}
    assert nearest.shape == (24, 4, 8, 8) and shown < training


def test_what_was_judged_stays(folders, judged, capsys):
    before = (folders[0] / "judge.json").stat().st_mtime_ns
    data = digits(folders[0].parent, False)
    assert run(*FLAGS, *data, "--stages=judge", f"--workdir={folders[0]}") == 0
    said = capsys.readouterr().out
    assert "judge: done before" in said and "of 30 generated images" in said
    assert (folders[0] / "judge.json").stat().st_mtime_ns == before


# === Stopped, and continued ===


def stop_after_a_checkpoint(monkeypatch, stage):
    """Makes a run end like a killed one, right after a stage's first checkpoint."""
    save = Checkpoints.save

    def save_and_stop(self, *arguments):
        save(self, *arguments)
        if self.folder.parent.name == stage:
            raise KeyboardInterrupt

    monkeypatch.setattr(Checkpoints, "save", save_and_stop)


def fill_disk(monkeypatch):
    """Lets one file of generated images be written, and half of the next."""
    write, written = np.savez, []

    def write_or_fail(file, **content):
        if written:
            file.write(bytes(100))
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), "the disk")
        written.append(file)
        write(file, **content)

    monkeypatch.setattr(np, "savez", write_or_fail)


def test_a_run_that_is_stopped_again_and_again_ends_with_the_same_bytes(
    folders, tmp_path, capsys, monkeypatch
):
    """In the generator, in the second file of images, and in the second classifier."""
    command = [*FLAGS, *digits(tmp_path, False), f"--workdir={tmp_path / 'run'}"]
    command.append("--checkpoint_steps=2")
    with monkeypatch.context() as patched:
        stop_after_a_checkpoint(patched, "generator")
        assert run(*command) == 130
    with monkeypatch.context() as patched:
        fill_disk(patched)
        assert run(*command) == 2
    captured = capsys.readouterr()
    assert "continued at step 2" in captured.out
    line = captured.err.splitlines()[-1]
    assert "No space left" in line and line.endswith("the same command continues")
    folder = tmp_path / "run" / "generate"
    assert [path.name for path in folder.iterdir()] == ["images-00000.npz"]
    first = (folder / "images-00000.npz").stat().st_mtime_ns
    with monkeypatch.context() as patched:
        stop_after_a_checkpoint(patched, "retrain")
        assert run(*command) == 130
    assert (folder / "images-00000.npz").stat().st_mtime_ns == first
    assert run(*command) == 0
    assert "generate: done before" in capsys.readouterr().out
    names = ["evaluation.json", "pseudo_label/labels.csv"]
    for kind in ("generator/weights/*", "generate/*.*", "retrain/weights/*"):
        names += [path.relative_to(folders[0]) for path in folders[0].glob(kind)]
    assert len(names) == 7
    for name in names:
        expected = (folders[0] / name).read_bytes()
        assert (tmp_path / "run" / name).read_bytes() == expected, name


def test_without_generated_images_the_same_classifier_comes_out(folders, tmp_path):
    flags = [*FLAGS, *digits(tmp_path, False), f"--workdir={tmp_path / 'run'}"]
    flags.append("--generate_images_per_class=0")
    assert run(*flags, "--stages=check") == 0
    for stage in ("finetune", "pseudo_label", "generator"):
        shutil.copytree(folders[0] / stage, tmp_path / "run" / stage)
    assert run(*flags, STAGES.replace(",evaluate", "")) == 0
    assert not list((tmp_path / "run" / "generate").glob("*.npz"))
    first, again = (
        folder / stage / "weights" / "student.safetensors"
        for folder, stage in ((folders[0], "finetune"), (tmp_path / "run", "retrain"))
    )
    assert again.read_bytes() == first.read_bytes()


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
    assert (
        "--stages=pseudo_label needs the stage logistic or finetune or semi_finetune"
        in line
    )
    line = error(capsys, *FLAGS, "--stages=finetune,retrain", folder)
    assert "--stages=retrain needs the stage generate" in line
    line = error(capsys, *FLAGS, "--generator_label_dropout=0", folder)
    assert "--generate_guidance should be 0" in line
    line = error(capsys, *FLAGS, "--generator_heads=3", folder)
    assert "`width` should be even and a multiple of `heads`" in line
    line = error(capsys, "--stages=generate", folder)
    assert re.search("--stages should be of: .*check_drift. Received: 'generate'", line)
    assert not (tmp_path / "run").exists()


def test_settings_know_the_solvers_and_a_patch_fits():
    assert SOLVERS == solvers.SOLVERS
    sizes = ((8, 8), (28, 28), (32, 32), (64, 64), (96, 64), (30, 20))
    assert [fitting_patch(size) for size in sizes] == [2, 4, 4, 8, 8, 2]
