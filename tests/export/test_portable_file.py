"""Files for LiteRT and ONNX Runtime: calibrated probabilities, or none."""

import sys

import keras
import numpy as np
import pytest
import tensorflow as tf
from scipy.special import softmax

from semivit_tf.export import Calibration, export_saved_model, portable_file
from semivit_tf.export.portable_file import PortableFileError, write_portable_file
from semivit_tf.methods.classifier import Classifier
from tests.methods.small import sharpen, small_vit

TEMPERATURES = Calibration((1.5, 0.5, 2.0))
IMAGES = np.random.default_rng(1).integers(0, 256, (3, 8, 8, 1)).astype("float32")


@pytest.fixture(scope="module")
def model():
    keras.utils.set_random_seed(0)
    model = Classifier(small_vit(), 3)
    sharpen(model, scale=30)
    return model


def litert_answer(path, images):
    """Asks without signatures, as TensorFlow Lite did at first."""
    with pytest.warns(UserWarning, match="ai_edge_litert"):
        interpreter = tf.lite.Interpreter(str(path))
    (given,), (taken,) = (
        interpreter.get_input_details(),
        interpreter.get_output_details(),
    )
    interpreter.resize_tensor_input(given["index"], images.shape)
    interpreter.allocate_tensors()
    interpreter.set_tensor(given["index"], images)
    interpreter.invoke()
    return interpreter.get_tensor(taken["index"])


def onnx_answer(path, images):
    import onnxruntime

    session = onnxruntime.InferenceSession(path)
    (answer,) = session.run(None, {"images": images})
    return answer


@pytest.mark.parametrize(
    ("format", "name", "ask"),
    [
        ("litert", "model.tflite", litert_answer),
        ("onnx", "model.onnx", onnx_answer),
    ],
)
def test_a_file_gives_the_calibrated_probabilities(model, tmp_path, format, name, ask):
    difference = write_portable_file(model, (8, 8, 1), TEMPERATURES, tmp_path, format)
    logits = np.asarray(model(IMAGES), "float64")
    divisor = np.array(TEMPERATURES.temperatures)[logits.argmax(axis=1)]
    expected = softmax(logits / divisor[:, None], axis=1)
    for images in (IMAGES, IMAGES[:1]):
        answer = ask(tmp_path / name, images)
        np.testing.assert_allclose(answer, expected[: len(images)], atol=1e-5)
    assert difference < 1e-5
    assert np.abs(expected - softmax(logits, axis=1)).max() > 0.01  # calibrated
    assert np.ptp(expected, axis=0).max() > 0.01  # not the same for all images


def test_a_file_that_answers_otherwise_is_refused(model, tmp_path, monkeypatch):
    def shifted(path, format):
        def answer(images):
            calibrated = TEMPERATURES.probabilities(model(images)).numpy()
            return calibrated + np.array([2e-4, 0, -2e-4], "float32")

        return answer

    monkeypatch.setattr(keras.Model, "export", lambda *given, **options: None)
    monkeypatch.setattr(portable_file, "_opened", shifted)
    with pytest.raises(PortableFileError, match=r"within 0.0001. Received: .* 0.0002$"):
        write_portable_file(model, (8, 8, 1), TEMPERATURES, tmp_path, "litert")


def test_an_operation_that_a_runtime_lacks_is_one_line(tmp_path):
    network = keras.Sequential([keras.Input((2, 2, 1)), keras.layers.Flatten()])
    network.add(keras.layers.Lambda(keras.ops.erf))
    with pytest.raises(PortableFileError) as refused:
        write_portable_file(network, (2, 2, 1), Calibration(), tmp_path, "litert")
    line = str(refused.value)
    assert "cannot be written" in line and "Erf" in line and "\n" not in line


def test_packages_that_are_missing_are_named(model, tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "onnxruntime", None)
    with pytest.raises(ValueError, match="pip install tf2onnx onnx onnxruntime"):
        export_saved_model(model, tmp_path, portable="onnx")
    with pytest.raises(ValueError, match='"litert", "onnx". Received: \'coreml\''):
        export_saved_model(model, tmp_path, portable="coreml")
    assert not list(tmp_path.iterdir())
