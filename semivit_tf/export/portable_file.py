"""One file for LiteRT or ONNX Runtime, which answers as the network does."""

import importlib
import logging
import pathlib
import warnings

import keras
import numpy as np
import tensorflow as tf

# Name of the file, packages besides TensorFlow, and how they are installed.
_FORMATS = {
    "litert": ("model.tflite", (), ""),
    "onnx": (
        "model.onnx",
        ("tf2onnx", "onnx", "onnxruntime"),
        "pip install tf2onnx onnx onnxruntime",
    ),
}
TOLERANCE = 1e-4  # the most by which a probability may differ from the network's
_INPUT, _OUTPUT = "images", "probabilities"


class PortableFileError(ValueError):
    """A network cannot be written in a format, or does not answer the same there."""


def portable_file(folder, format):
    """Returns the path of a format's file in the folder of an exported version."""
    return pathlib.Path(folder) / _FORMATS[format][0]


def check_packages(format):
    """Refuses a format that is unknown, or whose packages are not installed."""
    if format not in _FORMATS:
        known = ", ".join(f'"{name}"' for name in _FORMATS)
        raise ValueError(f"`portable` should be one of {known}. Received: {format!r}")
    _, packages, command = _FORMATS[format]
    for package in packages:
        try:
            importlib.import_module(package)
        except ImportError as error:
            raise ValueError(
                f'The format "{format}" needs packages that are not here: {command}. '
                f"Received: {error}"
            ) from error


def write_portable_file(network, image_shape, calibration, folder, format):
    """Writes the file of a format, and refuses one whose answers differ.

    It takes `images`, float32 `[B, H, W, C]` in [0, 255] of the network's size, and
    returns `probabilities`, float32 `[B, K]`. Keras' own exporters write it.

    Args:
        network: Built model from images to logits.
        image_shape: Tuple `(H, W, C)`.
        calibration: `Calibration`.
        folder: Path.
        format: `"litert"` or `"onnx"`.

    Returns:
        The largest difference between probabilities of the file and of the network.
    """
    model, path = _Calibrated(network, calibration), portable_file(folder, format)
    shape = (None, *image_shape)
    signature = [keras.InputSpec(shape=shape, dtype="float32", name=_INPUT)]
    options = {}
    if format == "litert":
        # No operations of TensorFlow, for which a runtime would need TensorFlow.
        options["target_spec"] = {"supported_ops": [tf.lite.OpsSet.TFLITE_BUILTINS]}
    images = _images(image_shape)
    expected = np.asarray(model(images)[_OUTPUT])
    with _quiet():
        try:
            model.export(
                str(path),
                format=format,
                input_signature=signature,
                verbose=False,
                **options,
            )
            answer = _opened(path, format)
            found = [answer(images), answer(images[:1])]  # batches of any size
        except Exception as error:  # of many kinds, by converters and runtimes
            reason = (str(error).strip() or type(error).__name__).splitlines()[0]
            raise PortableFileError(
                f'This network cannot be written in the format "{format}": {reason}'
            ) from error
    difference = max(np.abs(one - expected[: len(one)]).max() for one in found)
    if not difference <= TOLERANCE:  # NaN, too
        raise PortableFileError(
            f"{path.name} should answer as the network, within {TOLERANCE:g}. "
            f"Received: a probability that differs by {difference:.2g}"
        )
    return float(difference)


class _Calibrated(keras.Model):
    """A network and its calibration: what the file does."""

    def __init__(self, network, calibration):
        super().__init__(name="calibrated")
        self._network, self._calibration = network, calibration

    def call(self, images):
        logits = tf.cast(self._network(images, training=False), tf.float32)
        return {_OUTPUT: self._calibration.probabilities(logits)}


def _images(shape):
    """Returns images from black to bright noise, float32 `[B, H, W, C]`."""
    noise = np.random.default_rng(0).uniform(0, 255, (5, *shape))
    return (noise * np.linspace(0, 1, 5)[:, None, None, None]).astype("float32")


def _opened(path, format):
    """Returns a function from images to the probabilities of a file."""
    if format == "litert":
        runner = tf.lite.Interpreter(str(path)).get_signature_runner()
        return lambda images: runner(**{_INPUT: images})[_OUTPUT]
    import onnxruntime

    session = onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"])
    return lambda images: session.run([_OUTPUT], {_INPUT: images})[0]


class _quiet:
    """Keeps back what converters warn of: their own deprecations and steps."""

    def __enter__(self):
        self._warnings = warnings.catch_warnings()
        self._warnings.__enter__()
        warnings.simplefilter("ignore")
        self._before = logging.root.manager.disable
        logging.disable(logging.WARNING)

    def __exit__(self, *reason):
        logging.disable(self._before)
        self._warnings.__exit__(*reason)
