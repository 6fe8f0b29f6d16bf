"""The file format of the MNIST family."""

import numpy as np
import pytest

from semivit_tf.data.dataset import load_dataset
from semivit_tf.data.idx_files import load_idx
from tests.data.files import write_idx, write_mnist_like


def test_images_and_labels_are_those_written(tmp_path):
    arrays = write_mnist_like(tmp_path)
    parts = load_idx(tmp_path)
    for source, (images, labels) in zip(
        (parts.train, parts.test), arrays.values(), strict=True
    ):
        np.testing.assert_array_equal(source.images[..., 0], images)
        np.testing.assert_array_equal(source.labels, labels)
    assert parts.train.class_names == ("0", "1", "2")


def test_classes_have_the_names_given(tmp_path):
    write_mnist_like(tmp_path)
    data = load_dataset("idx", tmp_path, class_names=["shirt", "coat", "bag"])
    assert data.class_names == ("shirt", "coat", "bag")
    assert data.image_shape == (9, 8, 1)
    with pytest.raises(ValueError, match="below the number of class names, 2"):
        load_idx(tmp_path, ["a", "b"])


def test_broken_files_are_refused(tmp_path):
    write_mnist_like(tmp_path)
    images = tmp_path / "train-images-idx3-ubyte.gz"
    whole = images.read_bytes()
    images.write_bytes(whole[: len(whole) // 2])
    with pytest.raises(ValueError, match="train-images-idx3-ubyte.gz is broken"):
        load_idx(tmp_path)
    images.unlink()
    with pytest.raises(ValueError, match="should have the file train-images"):
        load_idx(tmp_path)
    plain = tmp_path / "train-images-idx3-ubyte"
    plain.write_bytes(b"hello")
    with pytest.raises(ValueError, match="should be an IDX file of bytes"):
        load_idx(tmp_path)
    write_idx(plain, np.zeros((60, 9, 8)))
    plain.write_bytes(plain.read_bytes()[:-1])
    with pytest.raises(ValueError, match=r"shape \(60, 9, 8\). Received: 4319 bytes"):
        load_idx(tmp_path)
    write_idx(plain, np.zeros((59, 9, 8)))
    with pytest.raises(ValueError, match="one entry per image"):
        load_idx(tmp_path)
    with pytest.raises(ValueError, match="should be a folder of IDX files"):
        load_idx(tmp_path / "missing")
