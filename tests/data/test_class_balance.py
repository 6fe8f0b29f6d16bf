"""Weights of classes, in small numbers and in the stages with labels."""

import numpy as np
import pytest
import tensorflow as tf

from semivit_tf.data.class_balance import balancing_weights, class_counts, weighted
from tests.stages.runs import prepared


def test_classes_have_equal_sums_and_images_a_mean_of_one():
    labels = np.array([0, 0, 0, 2, 2, 3, 0])
    counts = class_counts(labels, 5)
    np.testing.assert_array_equal(counts, [4, 0, 2, 1, 0])
    weights = balancing_weights(counts)
    np.testing.assert_allclose(weights, [7 / 12, 0, 7 / 6, 7 / 3, 0])
    assert weights[labels].mean() == pytest.approx(1.0)
    np.testing.assert_array_equal(balancing_weights(np.full(4, 3)), 1.0)


def test_each_image_of_a_batch_has_the_weight_of_its_label():
    batches = tf.data.Dataset.from_tensors(({"image": [5, 6, 7]}, [2, 0, 2]))
    ((inputs, label, weight),) = weighted(batches, np.float32([0.5, 9, 2]))
    np.testing.assert_array_equal(inputs["image"], [5, 6, 7])
    np.testing.assert_array_equal(label, [2, 0, 2])
    np.testing.assert_array_equal(weight, [2, 0.5, 2])


@pytest.fixture(scope="module")
def uneven(tmp_path_factory):
    """A file of 3 classes with 12, 6 and 2 images."""
    generator, labels = np.random.default_rng(0), np.repeat([0, 1, 2], [12, 6, 2])
    path = tmp_path_factory.mktemp("uneven") / "images.npz"
    images = generator.integers(0, 256, (20, 8, 8, 1), "uint8")
    np.savez(path, x_train=images, y_train=labels, x_test=images + 1, y_test=labels)
    return path


@pytest.mark.parametrize("stage", ["finetune", "semi_finetune"])
@pytest.mark.parametrize("balanced", [False, True])
def test_stages_weigh_their_labelled_images_if_asked(uneven, tmp_path, stage, balanced):
    name = {"finetune": "finetune", "semi_finetune": "semi"}[stage]
    flags = {f"{name}_balanced": balanced, f"{name}_batch_size": 10}
    if name == "semi":
        flags |= {"semi_unlabeled_per_labeled": 1, "semi_from_scratch": True}
        flags |= {"labeled_as_unlabeled": True}
    run = prepared(tmp_path, data_dir=str(uneven), stages=stage, **flags)
    (wanted,) = run.wanted
    training = wanted.kind.prepare(run, wanted)
    _, labels, *weights = next(iter(training.stream(0)))
    assert labels.shape == (10,) and len(weights) == balanced
    if balanced:
        expected = np.array([20 / 36, 20 / 18, 20 / 6])[labels]
        np.testing.assert_allclose(weights[0], expected, rtol=1e-6)
