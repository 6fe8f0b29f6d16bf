"""Labels that are no classes end `fit` and `evaluate` with a sentence."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from semivit_tf.methods.classifier import Classifier
from semivit_tf.methods.semi_vit import SemiViT
from tests.methods.small import semi_batch, small_vit

SAID = r"^A label should be of 0 to 2, because the model has 3 classes\. Received: {}$"


def regression(**options):
    images = keras.Input((8, 8, 1))
    backbone = keras.Model(images, keras.layers.Flatten()(images))
    model = Classifier(backbone, 3)
    model.compile(keras.optimizers.SGD(0.0), **options)
    return model


def batch(label=None, dtype="int32"):
    """Eight labelled images; the sixth has the label that is given."""
    images = np.random.default_rng(0).uniform(0, 255, (8, 8, 8, 1)).astype("float32")
    labels = (np.arange(8) % 3).astype(dtype)
    if label is not None:
        labels[5] = label
    return images, labels


def batches(label=None, dtype="int32"):
    return tf.data.Dataset.from_tensor_slices(batch(label, dtype)).batch(2)


@pytest.mark.parametrize("label", [3, -1])
@pytest.mark.parametrize("dtype", ["int32", "int64", "float32"])
def test_arrays_are_refused_before_anything_runs(label, dtype):
    model = regression()
    message = SAID.format(rf"{label}")
    with pytest.raises(ValueError, match=message):
        model.fit(*batch(label, dtype), verbose=0)
    with pytest.raises(ValueError, match=message):
        model.fit(*batch(), validation_data=batch(label, dtype), verbose=0)
    with pytest.raises(ValueError, match=message):
        model.evaluate(*batch(label, dtype), verbose=0)
    assert int(model.optimizer.iterations) == 0


@pytest.mark.parametrize("jit_compile", [True, False])
@pytest.mark.parametrize("steps_per_execution", [1, 2])
def test_data_sets_are_refused_where_they_are_read(jit_compile, steps_per_execution):
    model = regression(jit_compile=jit_compile, steps_per_execution=steps_per_execution)
    with pytest.raises(ValueError, match=SAID.format(7)):
        model.fit(batches(7), verbose=0)
    with pytest.raises(ValueError, match=SAID.format(7)):
        model.fit(batches(), validation_data=batches(7), verbose=0)
    with pytest.raises(ValueError, match=SAID.format(7)):
        model.evaluate(batches(7), verbose=0)


def test_replicas_refuse_them_too(mirrored):
    with mirrored.scope():
        model = regression()
    for function in (model.fit, model.evaluate):
        with pytest.raises(ValueError, match=SAID.format(7)):
            function(batches(7), verbose=0)


def test_semi_supervised_batches_are_checked():
    model = SemiViT(small_vit(), 3)
    model.compile(jit_compile=True)
    views, labels = semi_batch()
    labels[2] = 3
    with pytest.raises(ValueError, match=SAID.format(3)):
        model.fit(tf.data.Dataset.from_tensors((views, labels)), verbose=0)


def test_labels_between_classes_are_refused():
    with pytest.raises(ValueError, match=SAID.format(0.5)):
        regression().evaluate(*batch(0.5, "float32"), verbose=0)


class Batches(keras.utils.PyDataset):
    def __len__(self):
        return 1

    def __getitem__(self, number):
        return batch(3)


def test_where_labels_cannot_be_seen_before_the_loss_is_no_number():
    model = regression(jit_compile=True)
    assert np.isnan(model.fit(Batches(), verbose=0).history["loss"]).all()
    assert np.isnan(model.train_on_batch(*batch(3))).any()
    assert np.isnan(model.test_on_batch(*batch(3), return_dict=True)["loss"])


def test_other_errors_of_the_data_stay_what_they_are():
    def fails(images, labels):
        return tf.ensure_shape(images, (1, 8, 8, 1)), labels

    data = tf.data.Dataset.from_generator(
        lambda: iter([batch()]),
        output_signature=(tf.TensorSpec(None), tf.TensorSpec((None,), tf.int32)),
    )
    with pytest.raises(tf.errors.InvalidArgumentError):
        regression().evaluate(data.map(fails), verbose=0)
