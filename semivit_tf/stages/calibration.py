"""Calibration of the weights that answer, by validation images.

What is served and what is evaluated is fitted here, by the same images, and so is the
same. `--abstain_precision` and `--coverage` are promises that only images can keep from
which nothing was learned: without validation images they are refused.
"""

import dataclasses

import numpy as np

from semivit_tf.config.settings import InputError
from semivit_tf.evaluation.abstention import (
    choose_threshold,
    images_needed,
    measure_abstention,
)
from semivit_tf.evaluation.calibration import (
    calibrated_probabilities,
    fit_temperatures,
    reliability,
)
from semivit_tf.evaluation.conformal_sets import least_probability, measure_sets
from semivit_tf.export.calibration import Calibration

_NEVER = 2.0  # a probability that none reaches, so that all are abstained from


def check_calibration(run):
    """Refuses promises for which there are no validation images."""
    if len(run.data.split.validation):
        return
    for name, value in promises(run).items():
        if value is not None:
            raise InputError(
                f"--{name}={value} needs validation images, such as "
                "--validation_per_class=20 gives: there are none"
            )


def promises(run):
    """Returns a dict of the flags that say what answers should keep to."""
    settings = run.config.run
    return {
        "abstain_precision": settings.abstain_precision,
        "coverage": settings.coverage,
    }


@dataclasses.dataclass(frozen=True)
class Fit:
    """What was fitted on validation images.

    Attributes:
        labels: Integer array `[N]` of these images.
        logits: Float array `[N, K]`.
        temperatures: Float array `[K]`.
        precision: Optional float. What was asked for.
        threshold: Optional float. None: none is known to reach the precision.
        coverage: Optional float. What was asked for.
        least: Optional float. The least probability of classes in a set.
    """

    labels: np.ndarray
    logits: np.ndarray
    temperatures: np.ndarray
    precision: float | None
    threshold: float | None
    coverage: float | None
    least: float | None

    @property
    def tempered(self):
        """Whether any temperature is not 1."""
        return bool((self.temperatures != 1).any())

    def served(self):
        """Returns the `Calibration` to serve."""
        abstain = self.precision and (self.threshold or _NEVER)
        temperatures = self.temperatures if self.tempered else None
        return Calibration(temperatures, abstain, self.least)

    def described(self):
        """Returns a JSON-ready dict of what was fitted, measured on these images."""
        probabilities = calibrated_probabilities(self.logits, self.temperatures)
        found = {
            "images": len(self.labels),
            "temperatures": self.temperatures.tolist(),
        }
        return found | self.kept(self.labels, probabilities)

    def kept(self, labels, probabilities):
        """Returns how promises are kept on images, by calibrated probabilities."""
        found = {}
        if self.precision:
            found["abstain"] = {
                "asked": self.precision,
                "threshold": self.threshold,
                **measure_abstention(labels, probabilities, self.threshold),
            }
        if self.coverage:
            found["class_set"] = {
                "asked": self.coverage,
                "least_probability": self.least,
                **measure_sets(labels, probabilities, self.least),
            }
        return found


def fit(labels, scores, abstain_precision=None, coverage=None):
    """Fits what answers need on images that nothing was learned from.

    Args:
        labels: Integer array `[N]`.
        scores: Float array `[N, S, K]`.
        abstain_precision: See `promises`; so is the next.
        coverage: Optional float.

    Returns:
        A `Fit`.
    """
    logits = scores.sum(axis=1)
    temperatures, threshold, least = fit_temperatures(labels, logits), None, None
    probabilities = calibrated_probabilities(logits, temperatures)
    if abstain_precision:
        threshold = choose_threshold(labels, probabilities, abstain_precision)
    if coverage:
        least = least_probability(labels, probabilities, coverage)
    found = temperatures, abstain_precision, threshold, coverage, least
    return Fit(labels, logits, *found)


def evaluated(found, labels, scores, apart):
    """Returns how well calibrated answers on held-out images are, before and after.

    Args:
        found: `Fit`, or None.
        labels: Integer array `[N]`.
        scores: Float array `[N, S, K]`.
        apart: Bool. Whether these are other images than `found` was fitted on. If not,
            each half of them is calibrated by what is fitted on the other, and how
            promises are kept is not measured.

    Returns:
        JSON-ready dict: that of `reliability`; `after`, the same with temperatures, if
        there are any; `fitted`, what was fitted on validation images; and how promises
        are kept on these images.
    """
    logits = scores.sum(axis=1)
    content = reliability(labels, calibrated_probabilities(logits, _ones(logits)))
    if found is None:
        return content
    content["fitted"] = found.described()
    if apart:
        calibrated = calibrated_probabilities(logits, found.temperatures)
        content |= found.kept(labels, calibrated)
    else:
        calibrated = _calibrated_by_halves(labels, logits)
    if found.tempered:
        content["after"] = reliability(labels, calibrated)
    return content


def _ones(logits):
    return np.ones(logits.shape[1])


def _calibrated_by_halves(labels, logits):
    """Returns probabilities by temperatures that were fitted on every other image."""
    found, even = np.empty(logits.shape), np.arange(len(labels)) % 2 == 0
    for half in (even, ~even):
        temperatures = fit_temperatures(labels[~half], logits[~half])
        found[half] = calibrated_probabilities(logits[half], temperatures)
    return found


def describe(found, class_names):
    """Returns in one or a few lines what was fitted."""
    if found is None:
        return "No validation images: probabilities are served without calibration."
    images = f"{len(found.labels)} validation images"
    common = max(set(found.temperatures), key=found.temperatures.tolist().count)
    own = [
        f"{name} {temperature:.2f}"
        for name, temperature in zip(class_names, found.temperatures, strict=True)
        if temperature != common
    ]
    lines = [f"Probabilities are calibrated by {images}: temperature {common:.2f}"]
    lines[0] += f", of {', '.join(own)}." if own else "."
    if not found.tempered:
        lines = [f"{images} show no need to calibrate probabilities."]
    kept = found.described()
    if found.precision:
        lines.append(_of_abstention(kept["abstain"]))
    if found.coverage:
        lines.append(
            f"Sets of classes hold the right one for {100 * found.coverage:g} % of "
            f"images like these {images}; {kept['class_set']['mean_size']:.1f} classes "
            "on average."
        )
    return "\n".join(lines)


def _of_abstention(kept):
    wanted = f"{100 * kept['asked']:g} %"
    if kept["threshold"] is None:
        return (
            f"No confidence is known to be right in {wanted}, so the model abstains "
            f"from all images. To show it takes {images_needed(kept['asked'])} "
            "validation images at least."
        )
    return (
        f"Abstains below {kept['threshold']:.4f}: {kept['answered']} of "
        f"{kept['images']} validation images are answered, "
        f"{100 * kept['precision']:.2f} % rightly, and at least "
        f"{100 * kept['precision_at_least']:.2f} % as far as they tell."
    )
