"""The report counts right, names what is wrong, and finds test images in training."""

import json

import numpy as np
import pytest

from semivit_tf.data.array_source import ArraySource
from semivit_tf.data.check_report import check_report
from semivit_tf.data.check_report_text import describe
from semivit_tf.data.image_scan import ImageScan, scan

CLASSES = ["cat", "dog"]


def pictures(count, seed=0):
    """Returns pictures `[N, 16, 16, 3]` that do not resemble each other."""
    rng = np.random.default_rng(seed)
    return rng.integers(0, 256, (count, 16, 16, 3), "uint8")


def report_of(images, labels, parts, names=None):
    names = names or [f"{part}/{k}.png" for k, part in enumerate(parts)]
    found = scan(ArraySource(images, labels, CLASSES))
    return check_report(labels, CLASSES, parts, names, found)


def mixed():
    """Returns a report of 40 images with copies across parts."""
    images = pictures(40)
    parts = ["labeled"] * 8 + ["unlabeled"] * 20 + ["validation"] * 4 + ["test"] * 8
    labels = np.arange(40) % 2
    labels[8:28] = -1
    images[33] = images[2]  # test = labelled, another class
    images[34] = images[[10]]  # test = unlabelled
    images[11] = images[10]
    images[29] = images[35]  # validation = test: in no training part
    brighter = images[[4, 12]].astype(int) * 0.98 + 1
    images[[36, 30]] = np.round(brighter).astype("uint8")
    return images, labels, parts


def test_test_images_in_training_are_named_exact_and_near_apart():
    report = report_of(*mixed())
    exact = report["exact_in_training"]
    assert [match["name"] for match in exact] == ["test/33.png", "test/34.png"]
    assert exact[0] == {
        "name": "test/33.png",
        "part": "test",
        "class": "dog",
        "training": {"name": "labeled/2.png", "part": "labeled", "class": "cat"},
    }
    assert exact[1]["training"]["name"] == "unlabeled/10.png"
    assert exact[1]["training"]["class"] is None
    near = [(m["name"], m["training"]["name"]) for m in report["near_in_training"]]
    assert near == [
        ("validation/30.png", "unlabeled/12.png"),
        ("test/36.png", "labeled/4.png"),
    ]


def test_groups_say_which_parts_they_cross_and_whether_labels_differ():
    report = report_of(*mixed())
    groups = report["exact_duplicates"]
    names = [[image["name"] for image in group["images"]] for group in groups]
    assert names == [
        ["labeled/2.png", "test/33.png"],
        ["unlabeled/10.png", "unlabeled/11.png", "test/34.png"],
        ["validation/29.png", "test/35.png"],
    ]
    assert [group["parts"] for group in groups] == [
        ["labeled", "test"],
        ["unlabeled", "test"],
        ["validation", "test"],
    ]
    assert [group["labels_differ"] for group in groups] == [True, False, False]
    assert len(report["near_duplicates"]) == 2


def test_a_near_copy_of_copies_meets_all_of_them():
    images = pictures(20)
    images[5] = images[4]
    images[9] = np.round(images[4] * 0.98 + 1)
    parts = ["excluded"] * 5 + ["labeled"] * 4 + ["test"] * 11
    report = report_of(images, np.zeros(20, int), parts)
    (group,) = report["near_duplicates"]
    assert [image["name"][-5] for image in group["images"]] == ["4", "5", "9"]
    assert group["parts"] == ["labeled", "test"]
    (match,) = report["near_in_training"]
    # What is excluded is not in training.
    assert match["training"]["name"] == "labeled/5.png"


def test_all_held_out_images_of_a_crowd_are_in_training():
    rng = np.random.default_rng(0)
    images = pictures(200).astype(int)
    images[:100] = images[:1] * 0.9 + rng.integers(0, 3, (100, 16, 16, 3))
    parts = ["labeled"] + ["test"] * 199
    report = report_of(images.astype("uint8"), np.zeros(200, int), parts)
    assert len(report["near_duplicates"]) == 1
    assert len(report["near_in_training"]) == 99


def test_classes_are_counted_by_part():
    labels = np.array([0, 0, 0, 1, 1, -1, -1, 0, 1])
    parts = ["labeled"] * 4 + ["unlabeled"] * 3 + ["excluded", "test"]
    report = report_of(pictures(9), labels, parts)
    assert report["images"] == 9
    counts = {"labeled": 4, "unlabeled": 3, "validation": 0, "test": 1, "excluded": 1}
    assert report["parts"] == counts
    cat, dog = report["classes"]
    assert cat == {
        "class": "cat",
        **dict.fromkeys(counts, 0),
        "labeled": 3,
        "excluded": 1,
    }
    assert (dog["labeled"], dog["unlabeled"], dog["test"]) == (1, 1, 1)
    assert report["without_label"]["unlabeled"] == 2
    assert report["imbalance"]["labeled"] == {
        "largest": {"class": "cat", "images": 3},
        "smallest": {"class": "dog", "images": 1},
        "ratio": 3.0,
    }
    assert report["imbalance"]["training"]["ratio"] == 1.5  # not the test image


def test_a_class_without_images_has_no_ratio():
    report = report_of(pictures(3), np.zeros(3, int), ["labeled"] * 3)
    assert report["imbalance"]["labeled"]["ratio"] is None
    assert "3 of cat to 0 of dog." in describe(report)
    report = report_of(pictures(3), np.full(3, -1), ["unlabeled"] * 3)
    assert report["imbalance"] == {"labeled": None, "training": None}


def made_scan(heights, widths, reason_numbers=None, orientations=None, reasons=("",)):
    count = len(heights)
    rng = np.random.default_rng(0)
    return ImageScan(
        identity=np.zeros(16, "uint8"),
        heights=np.array(heights, "int32"),
        widths=np.array(widths, "int32"),
        orientations=np.array(orientations or [1] * count, "uint8"),
        digests=rng.integers(0, 256, (count, 16), "uint8"),
        fingerprints=np.zeros((count, 96), "float16"),
        reason_numbers=np.array(reason_numbers or [0] * count, "int32"),
        reasons=reasons,
    )


def test_sizes_are_of_readable_images():
    heights, widths = [10, 20, 10, 0, 40], [30, 30, 30, 0, 5]
    found = made_scan(heights, widths, [0, 0, 0, 1, 0], reasons=("", "empty file"))
    report = check_report([0] * 5, CLASSES, ["test"] * 5, list("abcde"), found)
    sizes = report["sizes"]
    assert sizes["height"] == {"smallest": 10, "median": 15.0, "largest": 40}
    assert sizes["width"] == {"smallest": 5, "median": 30.0, "largest": 30}
    assert (sizes["distinct"], sizes["distinct_share"]) == (3, 0.75)
    assert sizes["commonest"] == {"height": 10, "width": 30, "share": 0.5}
    text = describe(report)
    assert "Height 10 to 40, median 15.\nWidth 5 to 30, median 30.\n" in text
    assert "3 sizes (75.0% of images), most often 10 x 30 (50.0%)." in text


def test_unreadable_and_turned_images_of_several_scans_are_named():
    first = made_scan([5, 0], [5, 0], [0, 1], [6, 1], ("", "truncated JPEG"))
    second = made_scan([0, 5, 5], [0, 5, 5], [1, 0, 0], [1, 6, 3], ("", "empty file"))
    parts = ["labeled", "excluded", "test", "test", "test"]
    report = check_report([0] * 5, CLASSES, parts, list("abcde"), [first, second])
    assert report["unreadable"] == [
        {"name": "b", "part": "excluded", "class": "cat", "reason": "truncated JPEG"},
        {"name": "c", "part": "test", "class": "cat", "reason": "empty file"},
    ]
    assert report["turned"] == {"3": 1, "6": 2}
    # Digests of `a` and `c`, `b` and `d` are equal here; what was not read is no copy.
    assert report["exact_duplicates"] == []
    text = describe(report)
    assert "Images that cannot be read (2):\n  b (excluded): truncated JPEG\n" in text
    assert "1 of orientation 3, 2 of orientation 6" in text


def test_the_text_says_what_matters():
    text = describe(report_of(*mixed()))
    for line in (
        "40 images: 8 labelled, 20 unlabelled, 4 validation, 8 test.",
        "All that can be read are 16 x 16 pixels.",
        "Labelled images a class: 4 of each.",
        "Without a label: 20 unlabelled.",
        "Classes (2):\n"
        "                          labelled  unlabelled  validation        test\n"
        "  cat                            4           0           2           4\n",
        "Test or validation images that are in training, pixel for pixel (2):\n"
        "  test/33.png (test, dog) = labeled/2.png (labelled, cat), labels differ\n"
        "  test/34.png (test, cat) = unlabeled/10.png (unlabelled)\n",
        "in another size, format or quality (2):\n"
        "  validation/30.png (validation, cat) ~ unlabeled/12.png (unlabelled)\n",
        "Groups of exact duplicates, 7 images; 1 in labelled + test; 1 in unlabelled"
        " + test; 1 in validation + test; labels differ in 1 (3):\n",
        "Groups of near-duplicates, 4 images",
    ):
        assert line in text, line
    clean = describe(report_of(pictures(4), np.zeros(4, int), ["test"] * 4))
    assert "No exact duplicates." in clean and "No near-duplicates." in clean
    assert "training" not in clean and "cannot be read" not in clean


def test_the_text_is_cut_and_the_report_is_not():
    count = 143
    found = made_scan([0] * count, [0] * count, [1] * count, reasons=("", "empty file"))
    names = [f"{k}.png" for k in range(count)]
    report = check_report([0] * count, CLASSES, ["test"] * count, names, found)
    text = describe(report)
    assert "19.png" in text and "20.png" not in text
    assert "  ... and 123 more; all in check.json" in text
    assert len(json.loads(json.dumps(report))["unreadable"]) == count
    assert report["sizes"] is None


def test_a_report_is_json():
    report = report_of(*mixed())
    assert json.loads(json.dumps(report, allow_nan=False)) == report
    empty = report_of(pictures(1)[:0], np.zeros(0, int), [])
    assert describe(json.loads(json.dumps(empty))).startswith("0 images: none.")


def test_wrong_arguments_are_refused():
    found = made_scan([5, 5], [5, 5])
    parts = ["labeled", "test"]
    with pytest.raises(ValueError, match="scanned images. Received: 3, 2, 2, 2"):
        check_report([0, 0, 0], CLASSES, parts, ["a", "b"], found)
    with pytest.raises(ValueError, match="`parts` should be of labeled.*'train'"):
        check_report([0, 0], CLASSES, ["train", "test"], ["a", "b"], found)
    with pytest.raises(ValueError, match="class names, 2. Received: 2"):
        check_report([0, 2], CLASSES, parts, ["a", "b"], found)
