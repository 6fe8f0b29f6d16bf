"""Batches of the embedded digits: right images, right labels, from any step."""

import itertools

import numpy as np
import pytest
import tensorflow as tf
from sklearn.datasets import load_digits as sklearn_digits

from semivit_tf.data.array_source import ArraySource
from semivit_tf.data.dataset import load_dataset
from semivit_tf.data.made_sources import EncodedArray
from semivit_tf.data.pipelines import evaluation_batches


def digits(**options):
    return load_dataset("digits", labels_per_class=4, seed=0, **options)


def test_digits_are_scikit_learns_in_a_fixed_split():
    data = digits()
    assert (len(data.parts.train), len(data.parts.test)) == (1438, 359)
    assert data.image_shape == (8, 8, 1)
    together = np.concatenate([data.parts.train.images, data.parts.test.images])
    labels = np.concatenate([data.parts.train.labels, data.parts.test.labels])
    original = sklearn_digits()
    scaled = np.round(original.images * 255 / 16).astype("uint8")

    def rows(images, labels):
        return sorted(zip(map(bytes, images.reshape(1797, -1)), labels, strict=True))

    assert rows(together, labels.tolist()) == rows(scaled, original.target.tolist())
    assert np.bincount(data.parts.test.labels).min() >= 25


def test_labelled_batches_hold_the_labelled_images_only():
    data = digits(augmentation="none")
    images, labels = next(iter(data.labeled(40)))
    known = {
        bytes(data.parts.train.images[i]): data.parts.train.labels[i]
        for i in data.split.labeled
    }
    found = [known[bytes(image.astype("uint8"))] for image in images.numpy()]
    np.testing.assert_array_equal(found, labels)
    np.testing.assert_array_equal(np.bincount(labels), [4] * 10)


def test_weak_and_strong_are_views_of_the_same_images():
    data = digits(augmentation="none")
    views, _ = next(iter(data.semi_supervised(8, unlabeled_per_labeled=3)))
    np.testing.assert_array_equal(views["weak"], views["strong"])
    assert views["weak"].shape == (24, 8, 8, 1)
    other, _ = next(iter(digits().semi_supervised(8, unlabeled_per_labeled=3)))
    np.testing.assert_array_equal(other["unlabeled_label"], views["unlabeled_label"])
    weak = np.asarray(other["weak"], "float32")
    assert np.abs(weak - other["strong"]).max() > 10


def test_streams_start_at_any_step_bit_for_bit():
    data = digits()
    for stream in (
        lambda step: data.semi_supervised(8, start_step=step),
        lambda step: data.labeled(16, start_step=step),
        lambda step: data.images(300, start_step=step),
    ):
        whole = list(itertools.islice(stream(0), 9))
        later = list(itertools.islice(stream(6), 3))
        for first, second in zip(whole[6:], later, strict=True):
            for a, b in zip(leaves(first), leaves(second), strict=True):
                np.testing.assert_array_equal(a, b)


def leaves(batch):
    if isinstance(batch, dict):
        return [batch[name] for name in sorted(batch)]
    if isinstance(batch, tuple):
        return [leaf for part in batch for leaf in leaves(part)]
    return [batch]


def test_pretraining_sees_all_but_validation_images():
    data = digits(augmentation="none", validation_per_class=3)
    seen = {
        bytes(image.astype("uint8"))
        for batch in itertools.islice(data.images(200), 8)
        for image in batch.numpy()
    }
    images = data.parts.train.images
    validation = {bytes(images[i]) for i in data.split.validation}
    others = np.setdiff1d(np.arange(1438), data.split.validation)
    rest = {bytes(images[i]) for i in others}
    assert seen == rest
    assert validation - rest and not (validation - rest) & seen


def test_test_images_come_once_in_order():
    data = digits()
    batches = list(data.test(batch_size=100))
    assert [len(labels) for _, labels in batches] == [100, 100, 100, 59]
    images = np.concatenate([images for images, _ in batches])
    np.testing.assert_array_equal(images, data.parts.test.images)
    assert data.validation() is None


def test_images_are_resized_when_asked():
    data = digits(image_size=12)
    images, _ = next(iter(data.test()))
    assert images.shape[1:] == data.image_shape == (12, 12, 1)


@pytest.mark.parametrize("size", [(28, 28), (32, 32)])
@pytest.mark.parametrize("kind", [ArraySource, EncodedArray])
def test_no_evaluation_copies_its_images_into_the_graph(kind, size):
    images = np.random.default_rng(0).integers(0, 256, (999, 28, 28, 3), "uint8")
    batches = evaluation_batches(kind(images, range(999), range(999)), [7, 998], size)
    graph = batches._as_serialized_graph(strip_device_assignment=True)
    assert len(graph.numpy()) < 99_999 < images.nbytes
    ((shown, labels),) = batches
    assert labels.numpy().tolist() == [7, 998]
    if size == (28, 28):
        np.testing.assert_array_equal(shown, images[[7, 998]])
    assert batches.element_spec[0].shape == (None, *size, 3)


def test_unknown_names_are_refused():
    with pytest.raises(
        ValueError, match="one of: csv, digits, folder, idx, npz, tfds:<name>"
    ):
        load_dataset("mnist")


def test_arrays_of_the_wrong_kind_are_refused():
    good = np.zeros((3, 4, 4, 1), "uint8")
    with pytest.raises(ValueError, match="uint8 array"):
        ArraySource(good.astype("float32"), [0, 1, 0], ["a", "b"])
    with pytest.raises(ValueError, match="one entry per image"):
        ArraySource(good, [0, 1], ["a", "b"])
    with pytest.raises(ValueError, match="below the number of class names"):
        ArraySource(good, [0, 1, 2], ["a", "b"])


def test_no_stream_has_a_tuner_to_wait_for():
    data = load_dataset("digits", labels_per_class=2, validation_per_class=1)
    streams = [
        data.images(4),
        data.labeled(4),
        data.semi_supervised(4),
        data.crops(4),
        data.validation(),
        data.test(),
    ]
    assert [stream.options().autotune.enabled for stream in streams] == [False] * 6


def test_shapes_are_known_before_there_is_a_batch():
    data = digits()
    streams = {
        "labeled": data.labeled(12),
        "both": data.semi_supervised(4, unlabeled_per_labeled=3),
        "images": data.images(12),
        "crops": data.crops(12, 2),
    }
    for name, stream in streams.items():
        specs = tf.nest.flatten(stream.element_spec)
        assert all(spec.shape.is_fully_defined() for spec in specs), name
        assert 12 in {spec.shape[0] for spec in specs}, name


def test_an_unknown_argument_is_named_with_those_there_are():
    with pytest.raises(TypeError, match="`load_dataset` should.* labeled_index,") as e:
        load_dataset("digits", labels_per_class=1, label_per_class=2, strenght=1)
    assert str(e.value).endswith("Received: label_per_class, strenght")
    assert "image_size" in str(e.value) and "rand_augment" in str(e.value)
