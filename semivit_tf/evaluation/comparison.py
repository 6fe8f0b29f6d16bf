"""Comparison of two models on the same images."""

import numpy as np
from scipy.stats import binomtest

HELPED, HURT, UNCLEAR = "helped", "hurt", "no clear difference"
DRAWS = 10_000
_LEVEL = 0.05  # of the test, and what the interval leaves out


def compare_predictions(labels, before, after, draws=DRAWS, seed=0):
    """Compares two sets of predictions on the same images.

    By McNemar's exact test, and by a bootstrap of the images in pairs. A difference is
    clear if the test's probability is below 5 % and the interval is on one side of 0:
    of few changed images the bootstrap alone is too sure.

    Args:
        labels: Integer array `[N]`.
        before: Integer array `[N]` of predicted classes.
        after: Integer array `[N]` of predicted classes.
        draws: Integer. See `change_interval`.
        seed: Integer.

    Returns:
        Dict with the change of accuracy and its 95 % interval, the numbers of images
        that only one of the two got right, the probability of so uneven numbers if both
        were equally good, and the `answer`: `"helped"`, `"hurt"` or
        `"no clear difference"`.
    """
    labels, before, after = (np.asarray(x) for x in (labels, before, after))
    repaired = int(np.sum((before != labels) & (after == labels)))
    broken = int(np.sum((before == labels) & (after != labels)))
    changed = repaired + broken
    found = {
        "accuracy_change": (repaired - broken) / len(labels),
        "interval": change_interval(repaired, broken, len(labels), draws, seed),
        "draws": draws,
        "repaired": repaired,
        "broken": broken,
        "p_value": float(binomtest(repaired, changed).pvalue) if changed else 1.0,
    }
    return {**found, "answer": _answer(found)}


def change_interval(repaired, broken, images, draws=DRAWS, seed=0):
    """Returns the 95 % interval of a change of accuracy, by a paired bootstrap.

    Each draw takes as many images as there are, with replacement, and with each image
    both predictions. Only three things can have become of an image, so that counting
    them in a draw is one draw of a multinomial distribution.

    Args:
        repaired: Integer. Images that only the second model got right.
        broken: Integer. Images that only the first model got right.
        images: Integer.
        draws: Integer.
        seed: Integer.
    """
    shares = np.array([repaired, broken, images - repaired - broken]) / images
    counts = np.random.default_rng(seed).multinomial(images, shares, size=draws)
    changes = (counts[:, 0] - counts[:, 1]) / images
    ends = np.quantile(changes, [_LEVEL / 2, 1 - _LEVEL / 2])
    return [float(end) for end in ends]


def _answer(comparison):
    low, high = comparison["interval"]
    if comparison["p_value"] >= _LEVEL or low <= 0 <= high:
        return UNCLEAR
    return HELPED if low > 0 else HURT


def verdict(comparison, images, part="test", what="Unlabelled images"):
    """Returns one honest sentence on whether stage 3 helped.

    Args:
        comparison: Dict of `compare_predictions`.
        images: Integer. How many images were compared.
        part: String. Which images they are.
        what: String. What may have helped.
    """
    low, high = (100 * end for end in comparison["interval"])
    counts = (
        f"{100 * comparison['accuracy_change']:+.1f} points on {images} {part} images: "
        f"{comparison['repaired']} repaired, {comparison['broken']} broken, "
        f"p = {comparison['p_value']:.2g}"
    )
    if comparison["answer"] == HELPED:
        return f"{what} helped by {low:.1f} to {high:.1f} points ({counts})."
    if comparison["answer"] == HURT:
        return f"{what} hurt by {-high:.1f} to {-low:.1f} points ({counts})."
    return (
        f"{what} made no clear difference, {low:+.1f} to {high:+.1f} points ({counts})."
    )
