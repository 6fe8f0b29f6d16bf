"""What is served is calibrated: the same numbers as NumPy's."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from semivit_tf.evaluation.calibration import calibrated_probabilities
from semivit_tf.export import Calibration, export_saved_model
from semivit_tf.methods.classifier import Classifier
from tests.methods.small import sharpen, small_vit

TEMPERATURES = (2.0, 0.5, 3.0)
CALIBRATION = Calibration(
    np.array(TEMPERATURES), abstain_below=0.6, class_set_from=0.25
)


@pytest.fixture(scope="module")
def served(tmp_path_factory):
    """A model, its SavedModel, images, and what NumPy makes of their logits."""
    keras.utils.set_random_seed(0)
    model = Classifier(small_vit(), 3)
    sharpen(model, scale=30)
    path = export_saved_model(
        model,
        tmp_path_factory.mktemp("served"),
        tolerate_bad_images=True,
        calibration=CALIBRATION,
    )
    images = np.random.default_rng(0).integers(0, 256, (40, 8, 8, 1)).astype("uint8")
    logits = model(images).numpy()
    assert len(set(logits.argmax(axis=1))) == 3  # all temperatures are used
    expected = calibrated_probabilities(logits, TEMPERATURES)
    return tf.saved_model.load(str(path)), images, expected


@pytest.mark.parametrize("signature", ["serving_uint8", "serving_default"])
def test_served_probabilities_are_the_calibrated_ones(served, signature):
    loaded, images, expected = served
    kind = "uint8" if signature == "serving_uint8" else "float32"
    answer = loaded.signatures[signature](images=tf.constant(images.astype(kind)))
    np.testing.assert_allclose(answer["probabilities"], expected, atol=1e-5)
    np.testing.assert_array_equal(answer["class_index"], expected.argmax(axis=1))
    best = -np.sort(-expected, axis=1)
    np.testing.assert_allclose(answer["top_probabilities"], best, atol=1e-5)
    np.testing.assert_array_equal(answer["abstain"], best[:, 0] < 0.6)
    np.testing.assert_array_equal(answer["class_set"], expected >= 0.25)
    assert answer["abstain"].numpy().std() and answer["class_set"].numpy().std()


def test_a_bad_image_is_abstained_from(served):
    loaded, images, expected = served
    contents = [tf.io.encode_png(images[0]).numpy(), b"no image"]
    answer = loaded.signatures["serving_bytes"](image_bytes=tf.constant(contents))
    np.testing.assert_allclose(answer["probabilities"][0], expected[0], atol=1e-5)
    assert answer["abstain"].numpy().tolist() == [bool(expected[0].max() < 0.6), True]
    assert answer["class_set"].numpy()[1].tolist() == [False] * 3


def test_without_calibration_nothing_is_added(tmp_path):
    model = Classifier(small_vit(), 3)
    path = export_saved_model(model, tmp_path)
    answer = tf.saved_model.load(str(path)).signatures["serving_uint8"]
    assert sorted(answer.structured_outputs) == [
        "class_index",
        "class_name",
        "probabilities",
        "top_class_indices",
        "top_class_names",
        "top_probabilities",
    ]


@pytest.mark.parametrize("wrong", [(1.0, 2.0), (1.0, 0.0, 1.0), (1.0, np.nan, 1.0)])
def test_wrong_temperatures_are_refused(wrong, tmp_path):
    with pytest.raises(ValueError, match="`temperatures` should be 3 positive numbers"):
        export_saved_model(
            Classifier(small_vit(), 3), tmp_path, calibration=Calibration(wrong)
        )
    assert not list(tmp_path.iterdir())
