"""A model that was exported, read again without what it was made of."""

import functools
import json
import pathlib

import numpy as np
import tensorflow as tf

from semivit_tf.augment.image_header import MAX_PIXELS
from semivit_tf.checksum import digest_of_folder
from semivit_tf.export.drift_reference import FILE as REFERENCE
from semivit_tf.export.drift_reference import DriftReference
from semivit_tf.export.loading import file_loader

_SIGNATURE = "serving_default"


def find_exported(folder):
    """Returns the folder of a SavedModel: the given one, or its highest version."""
    folder = pathlib.Path(folder)
    versions = [folder]
    if folder.is_dir() and not (folder / "saved_model.pb").is_file():
        named = [path for path in folder.iterdir() if path.name.isdecimal()]
        versions = sorted(named, key=lambda path: int(path.name))
    found = [path for path in versions if (path / "saved_model.pb").is_file()]
    if not found:
        raise ValueError(
            f"{folder} should be an exported model: a folder with saved_model.pb, or "
            "one whose numbered folders have it"
        )
    return found[-1]


class ExportedModel:
    """What `export_saved_model` wrote.

    Args:
        folder: See `find_exported`.

    Attributes:
        path: Path of the SavedModel.
        class_names: List of K strings.
        image_shape: Tuple `(H, W, C)`.
        max_pixels: Integer. Larger image files are not decoded.
    """

    def __init__(self, folder):
        self.path = find_exported(folder)
        assets = self.path / "assets"
        try:
            text = (assets / "preprocessing.json").read_text(encoding="utf-8")
            described = json.loads(text)
            names = (assets / "class_names.txt").read_text(encoding="utf-8")
            self.image_shape = tuple(map(int, described["image_shape"]))
            self._central_share = float(described["central_share"])
            self.max_pixels = int(described.get("max_pixels", MAX_PIXELS))
        except (OSError, KeyError, TypeError, ValueError) as error:
            raise ValueError(
                f"{assets} should have the class names and the preprocessing of a "
                f"model that was exported by semivit_tf. Received: {error}"
            ) from error
        self.class_names = names.splitlines()

    def digest(self):
        """Returns the SHA-256 of its files."""
        return digest_of_folder(self.path)

    def load_file(self, contents):
        """Returns the image of a file's contents, in a graph, as the model sees it."""
        return self._loader(contents)

    @functools.cached_property
    def _loader(self):
        return file_loader(self.image_shape, self._central_share, self.max_pixels)

    @functools.cached_property
    def _loaded(self):
        try:
            return tf.saved_model.load(str(self.path))
        except (tf.errors.OpError, KeyError, OSError, ValueError) as error:
            reason = str(error).splitlines()[0]
            raise ValueError(f"{self.path} cannot be loaded: {reason}") from error

    def _signature(self, name):
        found = self._loaded.signatures
        if name not in found:
            raise ValueError(
                f"{self.path} cannot be loaded: it has no signature {name}"
            )
        return found[name]

    @functools.cached_property
    def _answer(self):
        return self._signature(_SIGNATURE)

    def drift_reference(self):
        """Returns the `DriftReference` that was exported with it, or None."""
        file = self.path / "assets" / REFERENCE
        return DriftReference.read(file) if file.exists() else None

    def describe(self, images):
        """Returns `features` `[B, D]` and `confidence` `[B]` of float32 images."""
        found = self._signature("features")(images=images)
        return {name: np.asarray(value) for name, value in found.items()}

    def outputs(self):
        """Returns the names of what it answers."""
        return set(self._answer.structured_outputs)

    def answer(self, images):
        """Returns a dict of arrays: what is served for float32 `[B, H, W, C]`."""
        found = self._answer(images=images)
        return {name: np.asarray(value) for name, value in found.items()}
