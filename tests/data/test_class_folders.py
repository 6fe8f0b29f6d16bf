"""What is written as folders of classes is read as a data set."""

import numpy as np

from semivit_tf.data.class_folders import folder_name, write_class_folders
from semivit_tf.data.dataset import load_dataset


def test_folders_are_read_as_the_same_images_and_classes(tmp_path):
    images = np.random.default_rng(0).integers(0, 256, (12, 5, 4, 3), "uint8")
    labels = np.array([2, 0, 1] * 4)
    names = ["a b", ".hidden", "c/d %"]
    write_class_folders(tmp_path / "made", images, labels, names)
    assert [path.name for path in tmp_path.iterdir()] == ["made"]
    data = load_dataset(
        "folder", data_dir=tmp_path / "made", labels_per_class=1, image_size=(5, 4)
    )
    read = [folder_name(name) for name in names]
    assert read == ["a b", "%2Ehidden", "c%2Fd %25"]
    assert sorted(read) == list(data.class_names)
    numbers = [read.index(name) for name in data.class_names]
    found, found_labels = next(iter(data.as_evaluated(np.arange(12))))
    expected = np.concatenate([images[labels == number] for number in numbers])
    np.testing.assert_array_equal(np.asarray(found), expected)
    np.testing.assert_array_equal(found_labels, np.repeat([0, 1, 2], 4))


def test_no_two_classes_share_a_folder():
    names = ["a/b", "a%2Fb", "a:b", "..", ".", "a.", "a ", "con\n", "\\", "Ä 1"]
    assert len({folder_name(name) for name in names}) == len(names)
    assert folder_name("..") == "%2E%2E" and folder_name("Ä 1") == "Ä 1"
