"""Tables of images."""

import pytest

from semivit_tf.data.csv_list import load_csv
from semivit_tf.data.dataset import load_dataset
from tests.data.files import write_picture


def table(tmp_path, *rows, columns="path,label"):
    file = tmp_path / "labels.csv"
    file.write_text("\n".join([columns, *rows]) + "\n", encoding="utf-8")
    return file


def test_labels_may_be_missing_and_classes_are_sorted(tmp_path):
    file = table(tmp_path, "b/1.jpg,dog", "b/2.jpg,", 'b/"3".jpg,cat')
    parts = load_csv(file)
    assert parts.train.class_names == ("cat", "dog")
    assert parts.train.labels.tolist() == [1, -1, 0]
    assert parts.test is None
    assert load_csv(tmp_path).train.labels.tolist() == [1, -1, 0]


def test_splits_and_groups(tmp_path):
    rows = [
        "1,a,train,x",
        "2,b,,x",
        "3,a,val,y",
        "4,b,test,z",
        "5,a,unlabelled,",
        "6,b,,",
    ]
    parts = load_csv(table(tmp_path, *rows, columns="path,label,split,group"))
    assert parts.train.labels.tolist() == [0, 1, 0, -1, 1]
    assert parts.validation.tolist() == [2]
    assert parts.test.labels.tolist() == [1] and parts.test.name(0) == "4"
    groups = parts.train.groups
    assert groups[0] == groups[1] and len(set(groups)) == 4


def test_groups_stay_on_one_side(tmp_path):
    rows = [f"{n}.jpg,{'ab'[n % 2]},{n // 4}" for n in range(40)]
    file = table(tmp_path, *rows, columns="path,label,group")
    data = load_dataset("csv", file, labels_per_class=2, validation_per_class=3)
    groups = data.parts.train.groups
    aside = set(groups[data.split.validation])
    assert aside and not aside & set(groups[data.image_indices])


def test_images_lie_beside_the_table(tmp_path):
    write_picture(tmp_path / "p" / "1.png", 1, (8, 8))
    data = load_dataset("csv", table(tmp_path, "p/1.png,a"), image_size=8)
    assert next(iter(data.labeled(1)))[0].shape == (1, 8, 8, 3)


def test_classes_may_be_given(tmp_path):
    file = table(tmp_path, "1,b")
    assert load_csv(file, ["c", "b"]).train.labels.tolist() == [1]
    with pytest.raises(ValueError, match="no class names: b"):
        load_csv(file, ["a"])


@pytest.mark.parametrize(
    ("columns", "rows", "message"),
    [
        ("path,kind", ["1,a"], "Missing: label"),
        ("path,label", [",a"], "line 2 should have a path"),
        ("path,label,split", ["1,a,", "2,a,dev"], "line 3 .* Received: .*split='dev'"),
        ("path,label,split", ["1,a,", "2,,test"], "line 3 is for test and should have"),
        ("path,label", ["1,"], "should have labelled images"),
        (
            "path,label,split,group",
            ["1,a,,g", "2,a,test,g"],
            "Received on both sides: g",
        ),
    ],
)
def test_other_tables_are_refused(tmp_path, columns, rows, message):
    with pytest.raises(ValueError, match=message):
        load_csv(table(tmp_path, *rows, columns=columns))


def test_no_table_is_refused(tmp_path):
    for wrong in (None, tmp_path, tmp_path / "missing.csv"):
        with pytest.raises(ValueError, match="should be a table of images"):
            load_csv(wrong)
