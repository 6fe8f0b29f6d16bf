"""Arrays in `.npz` files, by the names of Keras and of MedMNIST."""

import numpy as np
import pytest

from semivit_tf.data.npz_file import load_npz


def images(count, start=0):
    return (start + np.arange(count * 4 * 4) % 97).reshape(count, 4, 4).astype("uint8")


def test_the_names_of_keras(tmp_path):
    path = tmp_path / "mnist.npz"
    y = np.array([0, 2, 1])
    np.savez(path, x_train=images(3), y_train=y, x_test=images(2, 7), y_test=y[:2])
    parts = load_npz(path)
    np.testing.assert_array_equal(parts.train.images[..., 0], images(3))
    np.testing.assert_array_equal(parts.test.images[..., 0], images(2, 7))
    assert parts.train.labels.tolist() == [0, 2, 1] and parts.test.labels.tolist() == [
        0,
        2,
    ]
    assert parts.train.class_names == ("0", "1", "2")


def test_validation_and_unlabelled_images_follow_the_training_ones(tmp_path):
    path = tmp_path / "med.npz"
    np.savez(
        path,
        train_images=images(3),
        train_labels=np.array([[0], [1], [1]]),
        val_images=images(2),
        val_labels=np.array([[1], [0]]),
        unlabeled_images=images(4),
    )
    parts = load_npz(path, ["no", "yes"])
    assert parts.train.labels.tolist() == [0, 1, 1, 1, 0, -1, -1, -1, -1]
    assert parts.validation.tolist() == [3, 4] and parts.test is None


@pytest.mark.parametrize(
    "labels",
    [
        np.array([0, 1]),
        np.array([0.0, 0.5, 1.0]),
        np.array(["a", "b", "c"]),
        np.eye(3, dtype="uint8"),
    ],
)
def test_labels_that_are_no_class_numbers_are_refused(labels, tmp_path):
    np.savez(tmp_path / "x.npz", x_train=images(3), y_train=labels)
    message = f"y_train should be 3 whole numbers.* Received: {labels.dtype} "
    with pytest.raises(ValueError, match=message):
        load_npz(tmp_path / "x.npz")


def test_pickles_and_other_files_are_refused(tmp_path):
    path = tmp_path / "x.npz"
    np.savez(path, x_train=np.array([{"a": 1}], dtype=object))
    with pytest.raises(ValueError, match="cannot be read as .npz"):
        load_npz(path)
    np.savez(path, data=images(1))
    with pytest.raises(ValueError, match="x_train or train_images. Received: data"):
        load_npz(path)
    path.write_bytes(b"PK nothing")
    with pytest.raises(ValueError, match="cannot be read as .npz"):
        load_npz(path)
    with pytest.raises(ValueError, match="should be an .npz file"):
        load_npz(tmp_path)
