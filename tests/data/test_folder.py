"""Folders of images as people have them."""

import os

import numpy as np
import pytest
import tensorflow as tf
from PIL import Image

from semivit_tf.augment.decoding import decode
from semivit_tf.data.dataset import load_dataset
from semivit_tf.data.folder import list_images, load_folder
from tests.data.files import picture, write_folder, write_picture


def names(source):
    return [source.name(index) for index in range(len(source))]


def test_parts_classes_and_labels(tmp_path):
    parts = load_folder(write_folder(tmp_path, 3, unlabeled=2, test=1, validation=2))
    assert parts.train.class_names == ("cat", "dog")
    expected = [
        *(
            f"train/{kind}/{n}"
            for kind in ("cat", "dog")
            for n in ("0.jpg", "1.png", "2.JPEG")
        ),
        *(f"val/{kind}/{n}" for kind in ("cat", "dog") for n in ("0.jpg", "1.png")),
        *("unlabeled/loose 0.jpg", "unlabeled/loose 1.jpg"),
    ]
    assert names(parts.train) == expected
    assert parts.train.labels.tolist() == [0] * 3 + [1] * 3 + [0, 0, 1, 1, -1, -1]
    assert parts.validation.tolist() == [6, 7, 8, 9]
    assert names(parts.test) == ["test/cat/0.jpg", "test/dog/0.jpg"]
    assert parts.test.labels.tolist() == [0, 1]


def test_contents_are_those_of_the_file_at_the_index(tmp_path):
    source = load_folder(write_folder(tmp_path)).train
    data = tf.data.Dataset.from_tensor_slices([5, 1, 9]).map(
        lambda index: decode(source.contents(tf.cast(index, tf.int64)))
    )
    for index, image in zip([5, 1, 9], data, strict=True):
        with Image.open(tmp_path / source.name(index)) as file:
            expected = np.asarray(file.convert("RGB"), int)
        assert np.abs(image.numpy() - expected).max() <= 2


def test_odd_names_nested_folders_and_other_files(tmp_path):
    kept = ["a b/ü/x.JPG", "a b/y", "a b/z.jpeg", "ñandú/1.Png"]
    for number, name in enumerate(kept):
        path = tmp_path / name
        write_picture(path.with_suffix(".png"), number)
        os.rename(path.with_suffix(".png"), path)
    (tmp_path / "a b" / "notes.txt").write_text("hello")
    (tmp_path / "a b" / ".hidden.jpg").write_text("hello")
    (tmp_path / ".git").mkdir()
    parts = load_folder(tmp_path)
    assert parts.train.class_names == ("a b", "ñandú")
    assert sorted(names(parts.train)) == sorted(kept)
    assert parts.ignored == ("a b/notes.txt",)
    assert parts.test is None and not len(parts.validation)


def test_a_name_that_is_not_text_is_read(tmp_path):
    folder = os.fsencode(tmp_path) + b"/train/k"
    os.makedirs(folder)
    write_picture(tmp_path / "one.png", 3)
    os.rename(tmp_path / "one.png", folder + b"/\xff.png")
    source = load_folder(tmp_path).train
    assert source.name(0) == "train/k/\\udcff.png"
    image = decode(source.contents(tf.constant(0, tf.int64)))
    np.testing.assert_array_equal(image, picture(3))


def test_the_order_is_that_of_image_folder(tmp_path):
    """torchvision walks sorted folders and in each its sorted files."""
    for name in ("b/2.png", "b/10.png", "b/sub/1.png", "b/a/9.png", "B/1.png"):
        write_picture(tmp_path / name, 1)
    images, _ = list_images(tmp_path / "b")
    assert images == ["10.png", "2.png", "a/9.png", "sub/1.png"]
    assert load_folder(tmp_path).train.class_names == ("B", "b")


def test_the_few_labels_of_a_folder_make_a_data_set(tmp_path):
    write_folder(tmp_path, per_class=6, unlabeled=10, test=4)
    data = load_dataset("folder", tmp_path, labels_per_class=2, validation_per_class=1)
    assert (len(data.split.labeled), len(data.split.unlabeled)) == (4, 16)
    assert data.image_shape == (224, 224, 3) and data.central_share == 0.875
    labels = data.parts.train.labels
    assert sorted(labels[data.split.labeled]) == [0, 0, 1, 1]
    both = load_dataset(
        "folder", tmp_path, labels_per_class=2, labeled_as_unlabeled=True
    )
    assert set(both.split.labeled) < set(both.unlabeled_indices)
    assert not set(both.split.labeled) & set(both.split.unlabeled)


def test_published_lists_choose_the_labels(tmp_path):
    write_folder(tmp_path / "images", per_class=5, unlabeled=0)
    (tmp_path / "few.csv").write_text("Index\n0\n7\n")
    data = load_dataset(
        "folder", tmp_path / "images", labeled_index=tmp_path / "few.csv"
    )
    assert data.split.labeled.tolist() == [0, 7] and len(data.split.unlabeled) == 8


@pytest.mark.parametrize(
    ("prepare", "message"),
    [
        (lambda root: None, "Received: none"),
        (lambda root: (root / "cat").mkdir(), "1 class folders but no image"),
        (
            lambda root: write_folder(root) and (root / "test" / "cow").mkdir(),
            "classes that train/ lacks: cow",
        ),
    ],
)
def test_folders_of_something_else_are_refused(tmp_path, prepare, message):
    prepare(tmp_path)
    with pytest.raises(ValueError, match=message):
        load_folder(tmp_path)


def test_no_folder_is_refused(tmp_path):
    for wrong in (None, tmp_path / "missing"):
        with pytest.raises(ValueError, match="should be a folder of images"):
            load_folder(wrong)


def test_hidden_folders_hold_no_images(tmp_path):
    write_folder(tmp_path)
    before = names(load_folder(tmp_path).train)
    for hidden in ("train/cat/.ipynb_checkpoints", "train/dog/a/.cache/b"):
        (tmp_path / hidden).mkdir(parents=True)
        write_picture(tmp_path / hidden / "x.jpg", 1)
    assert names(load_folder(tmp_path).train) == before


def test_links_that_lead_back_are_left_out_and_named(tmp_path):
    """They turned dogs into cats, and two of them had no end."""
    write_folder(tmp_path / "photos")
    before = names(load_folder(tmp_path / "photos").train)
    cats = tmp_path / "photos/train/cat"
    for name, target in (
        ("up", ".."),
        ("self", "."),
        ("dogs", "../dog"),
        ("above", "../../.."),
    ):
        (cats / name).symlink_to(target)
    (tmp_path / "photos/train/dog/up").symlink_to("..")
    parts = load_folder(tmp_path / "photos")
    assert names(parts.train) == before
    left_out = {f"train/cat/{name}" for name in ("up", "self", "dogs", "above")}
    assert left_out | {"train/dog/up"} <= set(parts.ignored)


def test_links_to_folders_elsewhere_are_followed_once(tmp_path):
    write_folder(tmp_path / "photos")
    more = tmp_path / "more"
    more.mkdir()
    write_picture(more / "x.jpg", 1)
    (more / "again").symlink_to(".")
    (tmp_path / "photos/train/cat/more").symlink_to(more)
    (tmp_path / "photos/train/lynx").symlink_to(more)  # a class by itself
    found = names(load_folder(tmp_path / "photos").train)
    assert [name for name in found if "more" in name] == ["train/cat/more/x.jpg"]
    assert [name for name in found if "lynx" in name] == ["train/lynx/x.jpg"]
