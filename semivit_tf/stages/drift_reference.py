"""Which images of a run a served model compares new ones with."""

import numpy as np
import tensorflow as tf

from semivit_tf.export.drift_reference import DriftReference
from semivit_tf.export.features import features_and_logits

FEWEST = 20  # images, here and among those that are compared
_ENOUGH = 100
_MOST = 500


def reference_of(run, network, calibration):
    """Returns the `DriftReference` of a network, or None of too few images.

    They are of the first of these parts with enough images: test, validation,
    unlabelled, labelled; if none has enough, of the largest. The last two were learned
    from, so that new images seem a little less like them than they are.

    Args:
        run: `Run`.
        network: Classifier with weights.
        calibration: `Calibration`.
    """
    part, indices = _chosen(run)
    if len(indices) < FEWEST:
        return None
    draw = np.random.default_rng(run.config.run.seed)
    indices = np.sort(draw.permutation(indices)[:_MOST])

    @tf.function(reduce_retracing=True)
    def see(images):
        features, logits = features_and_logits(network, images)
        probabilities = calibration.probabilities(logits)
        return features, tf.reduce_max(probabilities, axis=1)

    batches = run.data.evaluated("test" if part == "test" else "train", indices)
    found = [see(images) for images, _ in batches]
    features, confidences = (np.concatenate(one) for one in zip(*found, strict=True))
    return DriftReference(features, confidences, part)


def _chosen(run):
    """Returns the name of a part, and the indices of its images."""
    split, parts = run.data.split, run.data.parts
    test = np.arange(0 if parts.test is None else len(parts.test))
    candidates = {
        "test": np.setdiff1d(test, parts.bad_test),
        "validation": split.validation,
        "unlabelled": split.unlabeled,
        "labelled": split.labeled,
    }
    enough = [name for name, found in candidates.items() if len(found) >= _ENOUGH]
    largest = max(candidates, key=lambda name: len(candidates[name]))
    part = enough[0] if enough else largest
    return part, candidates[part]
