"""Abstention: the confidence from which on answers are right often enough.

The threshold is chosen on held-out images, so that precision is at least what was asked
for, except by a chance of 5 %. The surest tenth of the images, the surest two tenths
and so on are tested in this order, each by an exact binomial test, and the last one
before the first that fails is taken. Tests in a fixed order that end with the first
failure need no correction for their number. The first to be tested is the first that
may have one wrong answer in it, or where no tenth is large enough, none.

Reference:
    Angelopoulos et al., Learn then Test: Calibrating Predictive Algorithms to Achieve
    Risk Control, 2021.
"""

import bisect

import numpy as np
from scipy.stats import beta, binom

from semivit_tf.evaluation.interval import share_interval

_CHANCE = 0.05  # of a precision that is lower than promised
_TENTHS = 10


def shows_precision(wrong, images, precision):
    """Returns whether so few wrong answers show that precision is as high, or higher.

    Args:
        wrong: Integer.
        images: Integer.
        precision: Float. With it or less, so few would be wrong in 5 % of draws.
    """
    return bool(binom.cdf(wrong, images, 1 - precision) <= _CHANCE)


def images_needed(precision, wrong=0):
    """Returns how many images show a precision with so many wrong answers."""
    most = 2 * (wrong + 1)
    while not shows_precision(wrong, most, precision):
        most *= 2
    return bisect.bisect_left(
        range(most), True, key=lambda images: shows_precision(wrong, images, precision)
    )


def _sizes(images, precision):
    """Returns how many of the surest images to test, in order."""
    tenths = sorted({images * number // _TENTHS for number in range(1, _TENTHS + 1)})
    for wrong in (1, 0):
        needed = images_needed(precision, wrong)
        found = [size for size in tenths if size >= needed]
        if found:
            return found
    return []


def choose_threshold(labels, probabilities, precision):
    """Chooses the confidence below which a classifier should abstain.

    Args:
        labels: Integer array `[N]` of held-out images.
        probabilities: Float array `[N, K]`.
        precision: Float. How many answers of those not withheld should be right.

    Returns:
        Float, or None where these images show no threshold that is high enough.
    """
    confidence = np.asarray(probabilities).max(axis=1)
    order = np.argsort(-confidence, kind="stable")
    wrong = (np.asarray(probabilities).argmax(axis=1) != labels)[order]
    confidence, found = confidence[order], None
    for size in _sizes(len(order), precision):
        threshold = confidence[size - 1]
        kept = int(np.sum(confidence >= threshold))  # with those that are as sure
        if not shows_precision(int(wrong[:kept].sum()), kept, precision):
            break
        found = float(threshold)
    return found


def measure_abstention(labels, probabilities, threshold):
    """Returns how many images are answered, and how often rightly.

    Args:
        labels: Integer array `[N]`.
        probabilities: Float array `[N, K]`.
        threshold: Optional float. None: nothing is answered.
    """
    confidence = np.asarray(probabilities).max(axis=1)
    answered = confidence >= (np.inf if threshold is None else threshold)
    right = (np.asarray(probabilities).argmax(axis=1) == labels)[answered]
    count = int(answered.sum())
    precision = float(right.mean()) if count else None
    return {
        "images": len(answered),
        "answered": count,
        "precision": precision,
        "precision_interval": list(share_interval(precision, count)) if count else None,
        "precision_at_least": lower_limit(count - int(right.sum()), count),
    }


def lower_limit(wrong, images):
    """Returns the precision that is shown, exactly, except by a chance of 5 %."""
    if wrong >= images:
        return 0.0
    return float(beta.ppf(_CHANCE, images - wrong, wrong + 1))
