"""Labels filled in by hand join those of the data set, and move nothing else."""

import csv
import io
import os

import numpy as np
import pytest

from semivit_tf.data.digits import load_digits
from semivit_tf.data.folder import load_folder
from semivit_tf.data.hand_labels import with_hand_labels
from semivit_tf.data.label_splits import LabelSplit, split_parts
from tests.data.files import write_picture

CLASSES = ['<script>"dog"<', "Käse, 猫"]
LOOSE = ["=1+1, été 猫.png", "quo\"te's <b>.png", "new\nline.png", "plain.png"]


@pytest.fixture(scope="module")
def photos(tmp_path_factory):
    folder = tmp_path_factory.mktemp("photos")
    for number, name in enumerate(CLASSES):
        for place in range(6):
            file = folder / "train" / name / f"{place}.png"
            write_picture(file, 10 * number + place, (8, 8))
    for number, name in enumerate([*LOOSE, os.fsdecode(b"\xff.png")]):
        write_picture(folder / "unlabeled" / name, 30 + number, (8, 8))
    return folder


def table(path, *rows, columns=("path", "label")):
    with open(path, "w", encoding="utf-8", newline="") as file:
        csv.writer(file).writerows([columns, *rows])
    return path


def loose(parts, text):
    """Returns the index of the only image whose name has a text in it."""
    (found,) = [i for i, name in enumerate(parts.train.names()) if text in name]
    return found


def test_answers_join_the_labelled_images_and_move_no_other(photos, tmp_path):
    parts = load_folder(photos)
    options = dict(labels_per_class=2, validation_per_class=1, seed=3)
    before = split_parts(parts, **options)
    chosen = [loose(parts, text) for text in ("été", "quo", "udcff")]
    rows = [(parts.train.name(i), CLASSES[n % 2]) for n, i in enumerate(chosen)]
    rows.append((parts.train.name(loose(parts, "plain")), " "))  # not answered
    answered = with_hand_labels(parts, [table(tmp_path / "a.csv", *rows)])
    after = split_parts(answered, **options)
    np.testing.assert_array_equal(after.labeled, np.union1d(before.labeled, chosen))
    np.testing.assert_array_equal(
        after.unlabeled, np.setdiff1d(before.unlabeled, chosen)
    )
    np.testing.assert_array_equal(after.validation, before.validation)
    assert answered.train.labels[chosen].tolist() == [0, 1, 0]
    changed = np.flatnonzero(answered.train.labels != parts.train.labels)
    assert changed.tolist() == sorted(chosen)
    assert parts.train.labels[chosen].tolist() == [-1, -1, -1]  # as they were
    # Split again, as after the check has found bad images: those are left out.
    bad = np.array(chosen[:1])
    again = split_parts(type(parts)(**{**vars(answered), "bad": bad}), **options)
    np.testing.assert_array_equal(again.labeled, np.setdiff1d(after.labeled, bad))


def test_a_split_keeps_the_labels_that_a_person_gave(photos, tmp_path):
    """So that a run notices another answer in the same table."""
    parts = load_folder(photos)
    name = parts.train.name(loose(parts, "plain"))
    one, other = (
        split_parts(with_hand_labels(parts, [table(tmp_path / "t.csv", (name, kind))]))
        for kind in CLASSES
    )
    np.testing.assert_array_equal(one.labeled, other.labeled)
    assert not one.same(other)
    file = io.StringIO()
    other.write_csv(file)
    file.seek(0)
    read = LabelSplit.read_csv(file)
    assert read.same(other) and read.hand_labels == ((loose(parts, "plain"), 1),)


def test_several_tables_add_up_and_digits_go_by_their_number(tmp_path):
    parts = load_digits()
    truth = [parts.train.class_names[parts.train.labels[i]] for i in (7, 11)]
    first = table(tmp_path / "1.csv", ("image 7", truth[0]))
    second = table(
        tmp_path / "2.csv", (9, truth[1], "image 11"), columns=("rank", "label", "path")
    )
    answered = with_hand_labels(parts, [first, second])
    assert answered.hand_labeled.tolist() == [7, 11]
    before = split_parts(parts, labels_per_class=1)
    after = split_parts(answered, labels_per_class=1)
    assert set(after.labeled) == {*before.labeled, 7, 11}


@pytest.mark.parametrize(
    ("rows", "message"),
    [
        ([("unlabeled/none.png", CLASSES[0])], "line 2 should name one training image"),
        ([("unlabeled/plain.png", "Kaese")], "Received: 'Kaese'"),
        ([("", CLASSES[0])], "line 2 lacks its path"),
        ([("unlabeled/plain.png", "")], "should hold labels. Received: none in"),
        (
            [("unlabeled/plain.png", CLASSES[0]), ("unlabeled/plain.png", CLASSES[1])],
            "line 3 labels 'unlabeled/plain.png' a second time: as 'Käse, 猫', after",
        ),
        (
            [(f"train/{CLASSES[1]}/0.png", CLASSES[0])],
            "but it is 'Käse, 猫' in the data set",
        ),
    ],
)
def test_what_cannot_be_meant_is_refused(photos, tmp_path, rows, message):
    parts = load_folder(photos)
    with pytest.raises(ValueError) as caught:
        with_hand_labels(parts, [table(tmp_path / "t.csv", *rows)])
    assert message in str(caught.value)


def test_files_that_are_no_such_tables_are_refused(photos, tmp_path):
    parts = load_folder(photos)
    with pytest.raises(ValueError, match="which is no file"):
        with_hand_labels(parts, [tmp_path / "none.csv"])
    with pytest.raises(ValueError, match="Missing: label"):
        with_hand_labels(parts, [table(tmp_path / "t.csv", columns=("path", "kind"))])
    (tmp_path / "t.csv").write_bytes(b"path,label\n\xff\xfe,cat\n")
    with pytest.raises(ValueError, match="cannot be read as a table"):
        with_hand_labels(parts, [tmp_path / "t.csv"])


def test_a_validation_image_stays_one(photos, tmp_path):
    parts = load_folder(photos)
    split = split_parts(parts, labels_per_class=1, validation_per_class=2)
    index = split.validation[0]
    row = parts.train.name(index), CLASSES[parts.train.labels[index]]
    answered = with_hand_labels(parts, [table(tmp_path / "t.csv", row)])
    with pytest.raises(ValueError, match="not of those for validation"):
        split_parts(answered, labels_per_class=1, validation_per_class=2)
