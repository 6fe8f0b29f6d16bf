"""What training and validation say of the pseudo labels."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from semivit_tf.methods.effective_classes import EffectiveClasses
from semivit_tf.methods.fixmatch import FixMatch
from semivit_tf.methods.freematch import FreeMatch
from semivit_tf.methods.semi_supervised import SemiSupervised
from tests.methods import softmax_regression
from tests.methods.small import semi_batch, sharpen, small_vit

ROWS = [[0.9, 0.05, 0.05], [0.8, 0.1, 0.1], [0.1, 0.85, 0.05], [0.4, 0.3, 0.3]]


@pytest.mark.parametrize(
    ("counts", "expected"),
    [([4, 4, 4], 3), ([5, 0, 0], 1), ([0, 0, 0], 0), ([2, 1, 1], 2 * np.sqrt(2))],
)
def test_effective_classes(counts, expected):
    metric = EffectiveClasses(3)
    metric.update_state(tf.constant(counts, tf.float32))
    np.testing.assert_allclose(metric.result(), expected, rtol=1e-6)


def test_classes_are_counted_over_an_epoch_and_its_micro_batches():
    """Each half of a batch, and each batch, is of one class; the epoch is of two."""
    model = SemiSupervised(small_vit(), 3, selection="fixed_threshold")
    model.label = lambda images: tf.gather(
        tf.eye(3), tf.cast(images[:, 0, 0, 0] > 100, tf.int32)
    )
    model.compile(keras.optimizers.SGD(0.0), batch_parts=2, jit_compile=False)
    batches = []
    for value in (0.0, 200.0):
        views, labels = semi_batch(4, 12)
        views["weak"] = np.full_like(views["weak"], value)
        batches.append(tf.data.Dataset.from_tensors((views, labels)))
    data = batches[0].concatenate(batches[1])
    logs = model.fit(data, verbose=0).history
    np.testing.assert_allclose(logs["pseudo_label_classes"], [2.0], rtol=1e-6)
    assert logs["kept"] == [1.0]


def test_validation_says_how_good_pseudo_labels_are():
    model = FixMatch(softmax_regression.backbone(), 4, threshold=0.6)
    sharpen(model.student, 8.0)
    model.compile(keras.optimizers.SGD(0.1), jit_compile=False)
    views, labels = semi_batch(64, 4, classes=4)
    found = model.evaluate(views["image"], labels, return_dict=True, verbose=0)
    logits = np.asarray(model.student(views["image"]))
    given = softmax_regression.softmax(logits)
    kept, right = given.max(axis=1) >= 0.6, given.argmax(axis=1) == labels
    assert 0.1 < kept.mean() < 0.9
    np.testing.assert_allclose(found["pseudo_label_coverage"], kept.mean(), rtol=1e-5)
    expected = right[kept].mean()
    np.testing.assert_allclose(found["pseudo_label_precision"], expected, rtol=1e-5)


def test_validation_neither_moves_thresholds_nor_draws_anything():
    model = FreeMatch(small_vit(drop_path=0.5), 3, threshold_momentum=0.5)
    model.compile(keras.optimizers.SGD(0.1), jit_compile=False)
    views, labels = semi_batch(8, 4)
    before = [variable.numpy() for variable in model.variables]
    model.evaluate(views["image"], labels, verbose=0)
    for variable, value in zip(model.variables, before, strict=True):
        np.testing.assert_array_equal(variable, value, err_msg=variable.path)


def test_a_selection_of_ones_own_may_not_be_known_in_validation():
    class Sure(SemiSupervised):
        def select(self, probabilities, index=None):
            return tf.reduce_max(probabilities, axis=-1)

    model = Sure(small_vit(), 3)
    model.compile(keras.optimizers.SGD(0.1), jit_compile=False)
    views, labels = semi_batch(8, 4)
    found = model.evaluate(views["image"], labels, return_dict=True, verbose=0)
    assert "pseudo_label_precision" not in found and "student_accuracy" in found
