"""Foreign images are found again by scikit-learn, listed, and left out of stage 3."""

import contextlib
import csv
import dataclasses
import io
import json
import math
import shutil

import numpy as np
import pytest
import tensorflow as tf
from sklearn.neighbors import NearestNeighbors

from semivit_tf.cli import parse
from semivit_tf.data.label_splits import LabelSplit
from semivit_tf.evaluation.features import extract_features
from semivit_tf.evaluation.foreign_images import whitening
from semivit_tf.stages.foreign import search, without_foreign
from semivit_tf.stages.pipeline import prepare, settle_settings
from semivit_tf.stages.pseudo_label import answering
from semivit_tf.stages.run_data import dataset_of
from tests.report.html import Page
from tests.stages.runs import TINY, error, run

CLASSES = ["<script>alert('1')<", 'Käse "$x$" & 猫', "zebra"]
LABELED, NATIVE, FOREIGN = 8, 12, 9
AWKWARD = ('quo"te, 雪.png', "new\nline.png", "<b>.png")
FLAGS = [
    "--dataset=folder",
    f"--labels_per_class={LABELED}",
    "--finetune_epochs=12",
    "--finetune_base_learning_rate=0.1",
    "--finetune_mixup_alpha=0",
    "--finetune_cutmix_alpha=0",
    "--finetune_layer_decay=1",
    "--finetune_drop_path=0",
    "--finetune_batch_size=24",
    "--semi_batch_size=4",
    "--semi_unlabeled_per_labeled=2",
    "--semi_drop_path=0",
    "--image_size=16",
    "--augmentation=none",
    "--foreign_false_alarms=0.1",
]
STAGES = "finetune,foreign,semi_finetune,report"


def write(path, image):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(tf.io.encode_png(image.astype("uint8")).numpy())


@pytest.fixture(scope="module")
def photos(tmp_path_factory):
    """Images of one colour with noise; unlabelled ones also of stripes."""
    folder, generator = tmp_path_factory.mktemp("photos"), np.random.default_rng(0)
    for number, name in enumerate(CLASSES):
        for place in range(LABELED + NATIVE):
            image = generator.integers(0, 90, (16, 16, 3))
            image[..., number] += 160
            write(folder / "train" / name / f"{place}.png", image)
    for place in range(FOREIGN):
        name = AWKWARD[place] if place < len(AWKWARD) else f"foreign{place}.png"
        image = generator.integers(0, 90, (16, 16, 3))
        image[:, ::2] += 160
        write(folder / "unlabeled" / name, image)
    return folder


@pytest.fixture(scope="module")
def dropped_once(photos, tmp_path_factory):
    """A run whose stage 3 learned without foreign images."""
    folder, said = tmp_path_factory.mktemp("runs") / "dropped", io.StringIO()
    flags = (*FLAGS, f"--data_dir={photos}", f"--workdir={folder}", "--drop_foreign")
    with contextlib.redirect_stdout(said):
        assert run(*flags, f"--stages={STAGES}") == 0
    found = json.loads((folder / "foreign.json").read_text())
    left = found["images"] - found["found"]
    assert (
        f"semi_finetune: without {found['found']} foreign images, {left} unlabelled "
        "ones are left\n"
    ) in said.getvalue()
    return folder


@pytest.fixture
def dropped(dropped_once, tmp_path):
    return shutil.copytree(dropped_once, tmp_path / "dropped")


@pytest.fixture
def flags(photos):
    return (*FLAGS, f"--data_dir={photos}", "--drop_foreign")


def prepared(folder, flags, stages=STAGES):
    given = (*TINY, *flags, f"--workdir={folder}", f"--stages={stages}")
    return prepare(parse(["main.py", *given]))


def stage_three(folder, flags):
    here = prepared(folder, flags)
    (stage,) = [stage for stage in here.wanted if stage.name == "semi_finetune"]
    return here, stage


def read(folder):
    with open(folder / "foreign.csv", encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    return json.loads((folder / "foreign.json").read_text()), rows


def test_scikit_learn_finds_the_same_images(dropped_once, flags):
    found, rows = read(dropped_once)
    here = prepared(dropped_once, flags)
    (stage,) = [stage for stage in here.pipeline if stage.name == "foreign"]
    network, split = here.classifier(), here.data.split
    answering(here, stage).load(here, network)
    known, unlabeled = (
        extract_features(network.backbone, here.data.as_evaluated(part))[0]
        for part in (split.labeled, split.unlabeled)
    )
    whiten = whitening(np.concatenate([known, unlabeled]))
    theirs = NearestNeighbors(n_neighbors=2, metric="cosine").fit(whiten(known))
    among = np.sort(theirs.kneighbors(whiten(known))[0][:, 1])
    assert found["limit"] == pytest.approx(among[22], abs=1e-5)  # 25 times 0.9
    distances = theirs.kneighbors(whiten(unlabeled))[0][:, 0]
    indices = [int(row["index"]) for row in rows]
    assert set(indices) == set(split.unlabeled[distances > found["limit"]])
    listed = [float(row["distance"]) for row in rows]
    assert listed == sorted(listed, reverse=True)
    np.testing.assert_allclose(
        listed, distances[np.searchsorted(split.unlabeled, indices)], atol=1e-3
    )
    assert (found["labeled"], found["images"]) == (24, 3 * NATIVE + FOREIGN)
    assert found["found"] == len(rows)


def test_validation_images_give_the_limit_where_there_are_enough(dropped, flags):
    here = prepared(dropped, flags)
    (stage,) = [stage for stage in here.pipeline if stage.name == "foreign"]
    labeled, unlabeled = here.data.split.labeled, here.data.split.unlabeled
    split = LabelSplit(labeled, unlabeled[24:], unlabeled[:24])
    data = dataset_of(here.config, here.data.parts, split)
    here, kept = dataclasses.replace(here, data=data), answering(here, stage)
    found, network = search(here, stage, kept), here.classifier()
    kept.load(here, network)
    known, rest, apart = (
        extract_features(network.backbone, data.as_evaluated(part))[0]
        for part in (split.labeled, split.unlabeled, split.validation)
    )
    whiten = whitening(np.concatenate([known, rest]))
    theirs = NearestNeighbors(n_neighbors=1, metric="cosine").fit(whiten(known))
    distances = np.sort(theirs.kneighbors(whiten(apart))[0][:, 0])
    assert found["limit_by"] == "validation"
    assert found["limit"] == pytest.approx(distances[22], abs=1e-5)  # 25 times 0.9
    assert found["images"] == len(unlabeled) - 24


def test_what_is_unlike_every_class_is_found_by_its_name(dropped_once):
    found, rows = read(dropped_once)
    names = [row["path"].rpartition("/")[2] for row in rows]
    right = [name for name in names if not name[0].isdecimal()]
    assert len(right) >= FOREIGN - 1 and len(names) <= FOREIGN + 6
    assert {'quo"te, 雪.png', "new\\nline.png", "<b>.png"} & set(right)
    share = (len(rows) / found["images"] - 0.1) / 0.9
    assert found["share"] == pytest.approx(share)
    picture = tf.io.read_file(str(dropped_once / "foreign/pictures/foreign.png"))
    height, width, _ = tf.io.decode_png(picture).shape
    assert width == 8 * (16 * 6 + 4) and height == -(-len(rows) // 8) * 100


def test_stage_three_learns_the_others(dropped_once, flags):
    (found, rows), (here, stage) = read(dropped_once), stage_three(dropped_once, flags)
    data, left = without_foreign(here, stage).data, found["images"] - found["found"]
    whole = here.data
    assert not set(data.unlabeled_indices) & {int(row["index"]) for row in rows}
    assert len(data.unlabeled_indices) == left
    for part in ("labeled", "validation"):
        np.testing.assert_array_equal(
            getattr(data.split, part), getattr(whole.split, part)
        )
    lines = (dropped_once / "semi_finetune" / "metrics.jsonl").read_text().splitlines()
    assert json.loads(lines[-1])["step"] == 2 * (left // 8)


def test_its_passes_are_counted_by_what_is_left(dropped, flags):
    found, rows = read(dropped)
    shutil.rmtree(dropped / "semi_finetune")
    here, stage = stage_three(dropped, flags)
    said, left_out = [], "--semi_epochs="
    given = [flag for flag in (*TINY, *flags) if not flag.startswith(left_out)]
    config = parse(["main.py", *given, "--preset=quick", f"--workdir={dropped}"])
    here = dataclasses.replace(here, config=config, say=said.append)
    settled, left = settle_settings(here, stage), found["images"] - found["found"]
    epochs = math.ceil(400 / (left // 8))  # of 400 updates, 8 images each
    assert epochs != math.ceil(400 / (found["images"] // 8))
    assert settled.settings(stage).epochs == epochs
    assert f"{left_out}{epochs} " in said[0]


def test_the_report_says_it(dropped_once):
    page = Page((dropped_once / "report.html").read_text())
    texts = " ".join(one["text"] for one in page.all("p"))
    found, _ = read(dropped_once)
    assert f"{found['found']} of {found['images']} unlabelled images" in texts


def test_it_stays_until_its_bytes_or_the_weights_change(dropped, flags, capsys):
    file, whole = dropped / "foreign.json", (dropped / "foreign.csv").read_bytes()
    before = file.stat().st_mtime_ns, file.read_bytes()
    again = (*flags, f"--workdir={dropped}", "--stages=foreign")
    assert run(*again) == 0
    assert (file.stat().st_mtime_ns, file.read_bytes()) == before
    (dropped / "foreign.csv").write_bytes(whole[:-9])
    capsys.readouterr()
    semi = (*flags, f"--workdir={dropped}", "--stages=semi_finetune")
    shutil.rmtree(dropped / "semi_finetune")
    line = error(capsys, *semi)
    assert "foreign.csv is not as it was written" in line
    assert run(*again) == 0
    assert "looked for again" in capsys.readouterr().out
    assert (dropped / "foreign.csv").read_bytes() == whole
    weights = dropped / "finetune" / "weights" / "student.safetensors"
    shutil.copy(dropped / "foreign.json", weights)
    (dropped / "foreign.json").unlink()
    line = error(capsys, *semi)
    assert "--drop_foreign needs the stage foreign before semi_finetune" in line


def test_what_cannot_be_found_is_refused(photos, tmp_path, capsys):
    own = (f"--data_dir={photos}", f"--workdir={tmp_path / 'run'}")
    asked = (*FLAGS, *own, "--stages=finetune,foreign")
    line = error(capsys, *asked, "--labels_per_class=2")
    assert line == (
        "semivit_tf: --foreign_false_alarms=0.1 needs at least 9 labelled or "
        "validation images to find its limit. Received: 6"
    )
    alone = (f"--workdir={tmp_path / 'run'}", "--stages=finetune,foreign")
    line = error(capsys, *alone, "--labels_per_class=", "--finetune_epochs=1")
    assert "looks among unlabelled images: there are none" in line
    assert not (tmp_path / "run").exists()
