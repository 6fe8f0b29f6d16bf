"""Comparison of two models on the same images."""

import numpy as np
from scipy.stats import binomtest


def compare_predictions(labels, before, after):
    """Compares two sets of predictions on the same images by McNemar's exact test.

    Args:
        labels: Integer array `[N]`.
        before: Integer array `[N]` of predicted classes.
        after: Integer array `[N]` of predicted classes.

    Returns:
        Dict with the change of accuracy, the numbers of images that only one of the two
        got right, and the probability of so uneven numbers if both were equally good.
    """
    labels, before, after = (np.asarray(x) for x in (labels, before, after))
    repaired = int(np.sum((before != labels) & (after == labels)))
    broken = int(np.sum((before == labels) & (after != labels)))
    changed = repaired + broken
    return {
        "accuracy_change": (repaired - broken) / len(labels),
        "repaired": repaired,
        "broken": broken,
        "p_value": float(binomtest(repaired, changed).pvalue) if changed else 1.0,
    }


def verdict(comparison, images, part="test"):
    """Returns one honest sentence on whether semi-supervised training helped."""
    change = 100 * comparison["accuracy_change"]
    counts = (
        f"{change:+.1f} points on {images} {part} images: {comparison['repaired']} "
        f"repaired, {comparison['broken']} broken, p = {comparison['p_value']:.2g}"
    )
    if comparison["p_value"] >= 0.05:
        return f"Semi-supervised training made no clear difference ({counts})."
    word = "helped" if change > 0 else "hurt"
    return f"Semi-supervised training {word} ({counts})."
