"""Which pseudo labels are confident, and were they right?"""

from keras import ops


def confident(confidence, threshold):
    """Returns 1 where the confidence `[U]` reaches the threshold, else 0."""
    return ops.cast(confidence >= threshold, "float32")


def pseudo_label_quality(pseudo_labels, true_labels, kept):
    """Counts how good the pseudo labels are, where the truth happens to be known.

    Args:
        pseudo_labels: Integer tensor `[U]`.
        true_labels: Integer tensor `[U]`; a negative entry is unknown and not counted.
        kept: Float tensor `[U]`, 1 where the loss used the image.

    Returns:
        Dict of `(numerator, denominator)` scalars: `accuracy` over all images,
        `precision` over the kept ones, `recall` = the share of right labels kept.
    """
    known = ops.cast(true_labels >= 0, "float32")
    right = known * ops.cast(
        ops.equal(ops.cast(pseudo_labels, "int32"), ops.cast(true_labels, "int32")),
        "float32",
    )
    used = ops.sum(right * kept)
    return {
        "accuracy": (ops.sum(right), ops.sum(known)),
        "precision": (used, ops.sum(known * kept)),
        "recall": (used, ops.sum(right)),
    }
