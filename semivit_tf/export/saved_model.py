"""Writing a trained model as the folder that TF Serving watches."""

import dataclasses
import json
import os
import pathlib
import tempfile
from collections.abc import Sequence

import keras
import tensorflow as tf

from semivit_tf.augment.image_header import MAX_PIXELS
from semivit_tf.contracts import StudentAndTeacher
from semivit_tf.export.calibration import Calibration
from semivit_tf.export.drift_reference import FILE as REFERENCE
from semivit_tf.export.drift_reference import DriftReference
from semivit_tf.export.portable_file import check_packages, write_portable_file
from semivit_tf.export.signatures import ServedClassifier
from semivit_tf.export.warmup import write_warmup_requests
from semivit_tf.one_line import check_names
from semivit_tf.whole_file import whole_folder


def export_saved_model(
    model: keras.Model,
    directory: str | os.PathLike,
    class_names: Sequence[str] | None = None,
    version: int = 1,
    *,
    weights: str = "teacher",
    top_k: int = 5,
    central_share: float = 1.0,
    max_pixels: int = MAX_PIXELS,
    tolerate_bad_images: bool = False,
    calibration: Calibration | None = None,
    portable: str | None = None,
    drift_reference: DriftReference | None = None,
    overwrite: bool = False,
) -> pathlib.Path:
    """Writes `<directory>/<version>/` for TF Serving, whole or not at all.

    Signatures: `serving_default` (float pixels in [0, 255]), `serving_uint8` (the same
    as bytes), `serving_bytes` (contents of image files). Images of another size are cut
    and resized in the graph. Class names, preprocessing, warm-up requests lie beside.

    Args:
        model: A method with a teacher, a `Classifier`, or any built model from images
            to logits that has `image_shape`.
        directory: Path of the model's folder.
        class_names: Sequence of K strings; defaults to the numbers of the classes.
        version: Positive integer. The server takes the highest.
        weights: `"teacher"` or `"student"`, where the model has both.
        top_k: Integer. How many of the most probable classes are listed.
        central_share: Float. The part of other sizes that is seen: `central_view`.
        max_pixels: Integer. An image file of more pixels is an error of its request.
        tolerate_bad_images: Bool. By default a file that cannot be decoded fails its
            request. If True, answers have `valid` `[B]`, False where files cannot be
            decoded or pixels are not finite: uniform probabilities, class -1.
        calibration: Optional `Calibration`, and what it adds to answers.
        portable: `"litert"` or `"onnx"`: a file of that format is written, too.
        drift_reference: Optional `DriftReference`, which is kept in the assets. Adds
            the signature `features`, by which new images are compared with it.
        overwrite: Bool. Replaces an existing version, which servers do not notice.

    Returns:
        The path of the version's folder.
    """
    target = pathlib.Path(directory) / str(version)
    _check(weights, version, portable, target, overwrite)
    network, served_weights = _network(model, weights)
    shape = tuple(network.image_shape)
    class_names = _class_names(network, shape, class_names)
    calibration = (calibration or Calibration()).checked(len(class_names))
    loading = central_share, max_pixels, tolerate_bad_images, calibration
    served = ServedClassifier(
        network, shape, class_names, top_k, *loading, drift_reference is not None
    )
    described = _described(shape, served_weights, *loading)
    with whole_folder(target) as folder:
        _write(folder, served, class_names, described, drift_reference)
        if portable:
            write_portable_file(network, shape, calibration, folder, portable)
    return target


def _check(weights, version, portable, target, overwrite):
    if weights not in ("teacher", "student"):
        raise ValueError(
            f'`weights` should be "teacher" or "student". Received: {weights!r}'
        )
    if isinstance(version, bool) or not isinstance(version, int) or version < 1:
        raise ValueError(
            f"`version` should be a positive integer. Received: {version!r}"
        )
    if portable:
        check_packages(portable)
    if target.exists() and not overwrite:
        raise FileExistsError(
            f"{target} should not exist yet: pass another `version`, or overwrite=True "
            "to replace it"
        )


def _network(model, weights):
    """Returns the network to serve, and what its weights are called."""
    if not isinstance(model, StudentAndTeacher):
        return model, model.name
    return (model.teacher if weights == "teacher" else model.student), weights


def _class_names(network, shape, names):
    """Returns the names given, or the numbers of the classes, as strings."""
    classes = network.compute_output_shape((1, *shape))[-1]
    names = [str(name) for name in names or range(classes)]
    if len(names) != classes:
        raise ValueError(
            f"`class_names` should have {classes} entries. Received: {len(names)}"
        )
    check_names(names)
    return names


def _described(shape, weights, central_share, max_pixels, tolerant, calibration):
    """Returns what `preprocessing.json` says."""
    return {
        "image_shape": shape,
        "pixels": "0 to 255, not normalised: the model does that itself",
        "other_sizes": "central box of this aspect, bicubic, antialiased",
        "central_share": central_share,
        "max_pixels": max_pixels,
        "tolerates_bad_images": tolerant,
        "weights": weights,
        **dataclasses.asdict(calibration),
    }


def _write(folder, served, class_names, described, drift_reference):
    """Writes a SavedModel with its assets, and requests to warm it up."""
    with tempfile.TemporaryDirectory() as assets:
        written = _write_assets(pathlib.Path(assets), class_names, described)
        if drift_reference is not None:
            written.append(pathlib.Path(assets) / REFERENCE)
            drift_reference.write(written[-1])
        served.assets = [tf.saved_model.Asset(str(path)) for path in written]
        tf.saved_model.save(served, str(folder), signatures=served.signatures())
    write_warmup_requests(folder / "assets.extra", described["image_shape"])


def _write_assets(folder, class_names, described):
    names = folder / "class_names.txt"
    names.write_text("".join(f"{name}\n" for name in class_names), encoding="utf-8")
    preprocessing = folder / "preprocessing.json"
    preprocessing.write_text(json.dumps(described, indent=2), encoding="utf-8")
    return [names, preprocessing]
