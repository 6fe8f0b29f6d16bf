"""The kind of stage that tells whether new images are like those of the training.

Like the stage that answers new images, it needs an exported model alone.
"""

import dataclasses
import os
import random

import numpy as np

from semivit_tf.config.settings import InputError
from semivit_tf.data.image_list import list_files
from semivit_tf.data.readable_images import (
    describe_unreadable,
    readable_images,
    why_unreadable,
)
from semivit_tf.evaluation.drift import compare_samples, strangest
from semivit_tf.export.drift_reference import rounded
from semivit_tf.one_line import one_line
from semivit_tf.stages.drift_reference import FEWEST
from semivit_tf.stages.failures import input_errors
from semivit_tf.stages.predict import exported_model, exporter
from semivit_tf.stages.result_file import write_result
from semivit_tf.stages.stage import Kind
from semivit_tf.training.progress import CountProgress

_NAMED = 8  # the strangest images, and those that cannot be read
_DIGITS = 6


class CheckDrift(Kind):
    """Compares new images with the reference of an exported model."""

    needs_data = False

    def from_scratch(self, settings):
        return True  # it takes what was exported, not the weights of a stage

    def check(self, run, stage):
        if run.settings(stage).model or exporter(run, stage) not in run.wanted:
            reference_in(exported_model(run, stage))
        return run

    def carry_out(self, run, stage):
        model = exported_model(run, stage)
        content = check_drift(run, stage, model, reference_in(model))
        file = run.settings(stage).drift_file(run.config.run.workdir)
        write_result(file, content)
        run.say(f"{stage.name}: {describe(content)}\n{file}")


def reference_in(model):
    """Returns the `DriftReference` of a model; refuses one without."""
    with input_errors():
        reference = model.drift_reference()
    if reference is None:
        raise InputError(
            f"{model.path} has no reference that new images could be compared with: it "
            "was exported by an earlier version, or of too few images. Export it again"
        )
    return reference


@dataclasses.dataclass(frozen=True)
class NewImages:
    """What a model makes of some of the new images.

    Attributes:
        listed: Integer. How many images there are.
        root: Bytes. The folder that names are relative to.
        names: List of bytes: those that were drawn.
        read: Integer array `[M]`: which of them could be read.
        features: Float array `[M, D]`.
        confidences: Float array `[M]`.
    """

    listed: int
    root: bytes
    names: list
    read: np.ndarray
    features: np.ndarray
    confidences: np.ndarray

    def shown(self, place):
        """Returns the name of a drawn image for people."""
        return self.names[place].decode("utf-8", "backslashreplace")


def drawn(paths, most, seed):
    """Returns how many paths there are, and `most` of them, drawn, in their order."""
    generator, kept, count = random.Random(seed), [], 0
    for count, path in enumerate(paths, start=1):
        if len(kept) < most:
            kept.append((count, os.fsencode(path)))
        elif (place := generator.randrange(count)) < most:
            kept[place] = (count, os.fsencode(path))
    return count, [name for _, name in sorted(kept)]


def look_at(stage, model, settings, seed):
    """Returns the `NewImages` that are drawn from those of the settings."""
    with input_errors():
        root, paths = list_files(settings.images)
        listed, names = drawn(paths, settings.drift_images, seed)
    root = os.fsencode(root)

    def chunks():
        yield [(n, os.path.join(root, name)) for n, name in enumerate(names)]

    stream = readable_images(
        chunks, model.load_file, model.image_shape, settings.predict_batch_size
    )
    read, features, confidences = [], [], []
    with CountProgress(stage.name) as progress, input_errors():
        for numbers, images in stream:
            found = model.describe(images)
            read += np.asarray(numbers).tolist()
            features.append(found["features"])
            confidences.append(found["confidence"])
            progress(read[-1] + 1, len(names))
    if len(read) < FEWEST:
        raise InputError(
            f"--images should have at least {FEWEST} images that can be read, to say "
            f"anything about all. Received: {len(read)} in {settings.images}"
        )
    return NewImages(
        listed,
        root,
        names,
        np.array(read),
        rounded(np.concatenate(features)),
        np.concatenate(confidences),
    )


def check_drift(run, stage, model, reference):
    """Returns whether new images are like the reference, and what was compared."""
    settings, seed = run.settings(stage), run.config.run.seed
    new = look_at(stage, model, settings, seed)
    earlier = reference.features.astype("float32")
    features = new.features.astype("float32")
    found = compare_samples(
        (earlier, reference.confidences), (features, new.confidences), seed=seed
    )
    places, distances = strangest(earlier, features, _NAMED)
    unreadable = np.setdiff1d(np.arange(len(new.names)), new.read)
    return {
        "like": found["p_value"] >= settings.drift_alarms,
        "alarms": settings.drift_alarms,
        **found,
        "images": new.listed,
        "compared": len(new.read),
        "reference": {"part": reference.part, "images": len(earlier)},
        "model": model.digest(),
        "strangest": [
            {"path": new.shown(new.read[place]), "distance": round(float(far), _DIGITS)}
            for place, far in zip(places, distances, strict=True)
        ],
        "unreadable": len(unreadable),
        "first_unreadable": [
            {
                "path": new.shown(place),
                "reason": why_unreadable(
                    os.path.join(new.root, new.names[place]), model.max_pixels
                ),
            }
            for place in unreadable[:_NAMED]
        ],
    }


def describe(content):
    """Returns what a person should read of it."""
    compared, reference = content["compared"], content["reference"]
    images = f"{compared} of {content['images']} images"
    known = f"the {reference['images']} {reference['part']} images of the model"
    p_value = f"p = {content['p_value']:.2g}"
    if content["like"]:
        text = f"{images} are like {known} ({p_value})"
    else:
        sure = content["confidences"]
        text = (
            f"{images} are unlike {known} ({p_value}: "
            f"{content['features']['p_value']:.2g} by features, "
            f"{sure['p_value']:.2g} by confidences, {sure['mean']:.2f} instead of "
            f"{sure['mean_of_reference']:.2f}). The strangest: "
            + ", ".join(one_line(one["path"]) for one in content["strangest"])
        )
    if content["unreadable"]:
        unreadable = content["unreadable"], content["first_unreadable"]
        text += f"\n{describe_unreadable(*unreadable)}"
    return text
