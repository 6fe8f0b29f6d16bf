"""Calibration: probabilities that are right as often as they say, by temperatures.

Logits are divided by a temperature before the softmax. It is the one that makes the
labels of held-out images likeliest, and it never changes which class is likeliest. The
likelihood is convex in the inverse temperature, so there is one minimum to find.

A class whose answers need another temperature than all others may have its own. How
many images are enough for that depends on them: the logarithm of a temperature is off
by about 0.7 / sqrt(m) where m answers are wrong. So a temperature is taken only where
the likelihood-ratio test shows that it is needed: a common one instead of 1, and that
of a class instead of the common one.

Reference:
    Guo et al., On Calibration of Modern Neural Networks, 2017.
"""

import numpy as np
from scipy.optimize import minimize_scalar
from scipy.special import log_softmax, softmax
from scipy.stats import chi2

BINS = 15  # equally wide ones, of confidence
_LIMITS = (0.01, 100.0)  # of temperatures
_CHANCE = 0.05  # of taking a temperature that is not needed


# === Measuring ===


def brier_score(labels, probabilities):
    """Returns the mean squared distance of probabilities `[N, K]` from the labels."""
    right = np.eye(probabilities.shape[1])[np.asarray(labels)]
    return float(np.mean(np.sum((probabilities - right) ** 2, axis=1)))


def reliability(labels, probabilities, bins=BINS):
    """Returns how often answers were right that were given with similar confidence.

    Args:
        labels: Integer array `[N]`.
        probabilities: Float array `[N, K]`.
        bins: Integer. The interval from 0 to 1 is divided into as many equal ones,
            each with its upper end.

    Returns:
        Dict of `bins`, a list of dicts of the mean `confidence`, the `accuracy` and the
        number of `images` of each interval that has any; `ece`, the expected
        calibration error: the mean distance of the two over all images; and `brier`.
    """
    labels, probabilities = np.asarray(labels), np.asarray(probabilities, "float64")
    confidence = probabilities.max(axis=1)
    right = probabilities.argmax(axis=1) == labels
    edges = np.arange(1, bins) / bins
    places = np.digitize(confidence, edges, right=True)
    rows = []
    for place in np.unique(places):
        inside = places == place
        rows.append(
            {
                "confidence": float(confidence[inside].mean()),
                "accuracy": float(right[inside].mean()),
                "images": int(inside.sum()),
            }
        )
    distances = [
        row["images"] * abs(row["confidence"] - row["accuracy"]) for row in rows
    ]
    return {
        "bins": rows,
        "ece": float(sum(distances) / len(labels)),
        "brier": brier_score(labels, probabilities),
    }


# === Fitting ===


def cross_entropy(labels, logits, temperature=1.0):
    """Returns the mean negative log likelihood of labels `[N]`."""
    scores = log_softmax(np.asarray(logits, "float64") / temperature, axis=1)
    return float(-scores[np.arange(len(labels)), labels].mean())


def likeliest_temperature(labels, logits):
    """Returns the temperature between 0.01 and 100 with the least cross-entropy."""

    def loss(logarithm):
        return cross_entropy(labels, logits, np.exp(logarithm))

    limits = np.log(_LIMITS)
    found = minimize_scalar(
        loss, bounds=limits, method="bounded", options={"xatol": 1e-6}
    )
    return float(np.exp(found.x))


def _better(labels, logits, before, chance):
    """Returns the likeliest temperature, or `before` where that may be as good.

    Where no answer is wrong, no temperature is low enough to be the likeliest.
    """
    if not len(labels) or (logits.argmax(axis=1) == labels).all():
        return before
    found = likeliest_temperature(labels, logits)
    gain = cross_entropy(labels, logits, before) - cross_entropy(labels, logits, found)
    return found if 2 * len(labels) * gain > chi2.isf(chance, 1) else before


def fit_temperatures(labels, logits):
    """Fits a temperature for each class, on images that nothing was learned from.

    Args:
        labels: Integer array `[N]`.
        logits: Float array `[N, K]`.

    Returns:
        Float array `[K]`: by what the logits are divided of an image whose likeliest
        class it is. Of networks that need none, 95 of 100 get ones; of those that need
        the same for all classes, 95 of 100 get the same.
    """
    labels, logits = np.asarray(labels), np.asarray(logits, "float64")
    count, answers = logits.shape[1], logits.argmax(axis=1)
    common = _better(labels, logits, 1.0, _CHANCE)
    return np.array(
        [
            _better(labels[of_class], logits[of_class], common, _CHANCE / count)
            for of_class in (answers == number for number in range(count))
        ]
    )


def calibrated_probabilities(logits, temperatures):
    """Returns probabilities `[N, K]` of logits, by the temperature of each answer."""
    logits = np.asarray(logits, "float64")
    chosen = np.asarray(temperatures)[logits.argmax(axis=1)]
    return softmax(logits / chosen[:, None], axis=1)
