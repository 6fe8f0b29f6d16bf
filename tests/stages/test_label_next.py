"""A person is asked for labels, fills them in, and the next run learns from them."""

import csv
import shutil

import numpy as np
import pytest
import tensorflow as tf

from semivit_tf.data.label_splits import LabelSplit
from tests.report.html import Page, check_readable
from tests.stages.runs import error, run

CLASSES = ["<script>alert('1')<", 'Käse, "$x$" & 猫']
FLAGS = [
    "--dataset=folder",
    "--labels_per_class=2",
    "--finetune_epochs=4",
    "--finetune_batch_size=4",
    "--finetune_base_learning_rate=0.1",
    "--image_size=8",
    "--augmentation=none",
    "--stages=finetune,label_next",
]


@pytest.fixture(scope="module")
def photos(tmp_path_factory):
    """Images of two colours; of the loose ones, the file's name says which."""
    folder, generator = tmp_path_factory.mktemp("photos"), np.random.default_rng(0)

    def draw(file, number):
        image = generator.integers(0, 90, (8, 8, 3))
        image[..., number] += 160
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(tf.io.encode_png(image.astype("uint8")).numpy())

    for number, name in enumerate(CLASSES):
        for place in range(2):
            draw(folder / "train" / name / f"{place}.png", number)
        for place in range(3):
            draw(folder / "unlabeled" / f"été '\"{number}, {place}.png", number)
    return folder


def ask(photos, folder, *flags):
    return run(*FLAGS, f"--data_dir={photos}", f"--workdir={folder}", *flags)


@pytest.fixture(scope="module")
def asked(photos, tmp_path_factory):
    """A run of two replicas that asks for four labels."""
    folder = tmp_path_factory.mktemp("runs") / "one"
    assert ask(photos, folder, "--label_next_count=4", "--strategy=mirrored") == 0
    return folder


def rows_of(folder):
    with open(folder / "label_next.csv", encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def filled_in(folder, file):
    """Writes the table with its labels; returns its paths."""
    rows = rows_of(folder)
    for row in rows:
        row["label"] = CLASSES[int(row["path"].split(",")[0][-1])]
    write_table(file, rows)
    return {row["path"] for row in rows}


def write_table(file, rows):
    with open(file, "w", encoding="utf-8-sig", newline="") as opened:
        writer = csv.DictWriter(opened, rows[0])
        writer.writeheader()
        writer.writerows(rows)


def test_images_without_labels_are_asked_for(asked):
    rows = rows_of(asked)
    assert [row["rank"] for row in rows] == ["1", "2", "3", "4"]
    paths = [row["path"] for row in rows]
    assert len(set(paths)) == 4 and all(p.startswith("unlabeled/") for p in paths)
    for row in rows:
        assert row["answer"] in CLASSES and row["label"] == ""
        assert 0.5 <= float(row["probability"]) <= 1
    page = Page((asked / "label_next.html").read_text(encoding="utf-8"))
    check_readable(page, scripts=0)
    shown = page.all("li")
    assert [one["attributes"]["value"] for one in shown] == ["1", "2", "3", "4"]
    for one, row in zip(shown, rows, strict=True):
        assert row["path"] in one["text"] and f"{row['answer']}?" in one["text"]
    assert len(page.all("img")) == 4
    (told,) = [one["text"] for one in page.all("p") if "Write the class" in one["text"]]
    assert all(name in told for name in CLASSES)


def test_answers_are_labelled_images_of_the_next_run(photos, asked, tmp_path, capsys):
    table = tmp_path / "answers.csv"
    paths = filled_in(asked, table)
    flags = (f"--labels={table}", "--label_next_count=5", "--report_images=0")
    assert ask(photos, tmp_path / "two", *flags) == 0
    text = capsys.readouterr().out
    assert "folder: 8 labelled, 2 unlabelled, 0 validation" in text
    assert "only 2 images are unlabelled, 5 were asked for" in text
    assert f"--labels={table},{tmp_path}/two/label_next.csv" in text
    left = {row["path"] for row in rows_of(tmp_path / "two")}
    assert len(left) == 2 and not left & paths
    page = Page((tmp_path / "two" / "label_next.html").read_text(encoding="utf-8"))
    assert not page.all("img")
    listed = " ".join(one["text"] for one in page.all("li"))
    assert all(name in listed for name in left)
    with open(tmp_path / "two" / "split.csv") as file:
        split = LabelSplit.read_csv(file)
    assert len(split.labeled) == 8 and len(split.hand_labels) == 4
    # The answers are part of the run: it does not go on with others.
    given = [*FLAGS, f"--data_dir={photos}", f"--workdir={tmp_path / 'two'}", *flags]
    rows = [{"path": path, "label": CLASSES[0]} for path in sorted(paths)]
    write_table(table, rows)
    assert "is not the split of these settings" in error(capsys, *given)
    write_table(table, [{**rows[0], "label": "no class"}])
    assert "Received: 'no class'" in error(capsys, *given)


def test_what_a_person_may_have_written_stays(photos, asked, tmp_path, capsys):
    folder = shutil.copytree(asked, tmp_path / "one")
    table = folder / "label_next.csv"
    filled_in(asked, table)
    before = table.read_bytes()
    assert ask(photos, folder, "--label_next_count=4") == 0
    assert f"4 images to label in {table}" in capsys.readouterr().out
    assert ask(photos, folder, "--label_next_count=3") == 2
    line = capsys.readouterr().err
    assert "Differing: --label_next_count=3 (was 4)" in line and line.count("\n") == 1
    assert table.read_bytes() == before


def test_no_unlabelled_images_is_one_line(tmp_path, capsys):
    flags = ["--labels_per_class=", f"--workdir={tmp_path / 'run'}"]
    line = error(capsys, *flags, "--stages=finetune,label_next")
    assert "--stages=label_next has nothing to ask for" in line
    line = error(capsys, f"--workdir={tmp_path / 'run'}", "--stages=label_next")
    assert "needs the stage finetune or semi_finetune" in line
    line = error(capsys, f"--labels={tmp_path}/none.csv", "--sweep_labels=2")
    assert "excludes --labels" in line
    assert not (tmp_path / "run").exists()
