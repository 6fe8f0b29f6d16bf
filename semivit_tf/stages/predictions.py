"""What networks answered on each held-out image: a file beside a result.

Only the likeliest class and its probability are kept, so that the file stays small
however many classes there are: 8 bytes for an image and a network.
"""

import dataclasses
import pathlib

import numpy as np

from semivit_tf.checksum import digest_of
from semivit_tf.training.weight_files import (
    CheckpointError,
    read_arrays,
    write_arrays,
)

DIGEST = "predictions_sha256"  # the entry of the result that names the file's bytes
_CLASS, _CONFIDENCE = ".class", ".confidence"


@dataclasses.dataclass(frozen=True)
class Predictions:
    """What was answered on some images.

    Attributes:
        index: Integer array `[N]`. The place of each image in its source.
        labels: Integer array `[N]`.
        classes: Dict of a network's name to the classes that it predicts, `[N]`.
        confidences: Dict of the name to their probabilities, `[N]`, where known.
    """

    index: np.ndarray
    labels: np.ndarray
    classes: dict = dataclasses.field(default_factory=dict)
    confidences: dict = dataclasses.field(default_factory=dict)

    def add(self, name, probabilities):
        """Adds what a network answers: probabilities `[N, K]`."""
        self.classes[name] = probabilities.argmax(axis=1).astype("int32")
        self.confidences[name] = probabilities.max(axis=1).astype("float32")

    def same_images(self, other):
        """Returns whether two are of the same images in the same order."""
        return np.array_equal(self.index, other.index) and np.array_equal(
            self.labels, other.labels
        )


def beside(result):
    """Returns the path of the predictions of a result, a JSON file."""
    return pathlib.Path(result).with_suffix(".safetensors")


def write_predictions(result, predictions):
    """Writes the file beside a result; returns what the result says of it."""
    arrays = {
        "index": predictions.index.astype("int64"),
        "label": predictions.labels.astype("int32"),
    }
    for name, classes in predictions.classes.items():
        arrays[name + _CLASS] = classes.astype("int32")
    for name, confidences in predictions.confidences.items():
        arrays[name + _CONFIDENCE] = confidences.astype("float32")
    write_arrays(beside(result), arrays)
    return {DIGEST: digest_of(beside(result))}


def read_predictions(result, content):
    """Returns the `Predictions` that a result's content tells of.

    None: there are none, or the bytes of the file are not those.
    """
    path, wanted = beside(result), content.get(DIGEST)
    if wanted is None or not path.is_file() or digest_of(path) != wanted:
        return None
    try:
        arrays, _ = read_arrays(path)
    except CheckpointError:
        return None

    def named(ending):
        return {
            name.removesuffix(ending): array
            for name, array in arrays.items()
            if name.endswith(ending)
        }

    return Predictions(
        arrays["index"], arrays["label"], named(_CLASS), named(_CONFIDENCE)
    )
