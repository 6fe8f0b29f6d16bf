"""How good pseudo labels are, on labelled images that nothing was learned from."""

import numpy as np

THRESHOLDS = (0.0, 0.5, 0.6, 0.7, 0.8, 0.9, 0.95, 0.99)


def pseudo_label_table(labels, probabilities, class_names, thresholds=THRESHOLDS):
    """Returns a JSON-ready list: for each threshold what would count, and be right.

    Args:
        labels: Integer array `[N]`.
        probabilities: Float array `[N, K]`.
        class_names: Sequence of K strings.
        thresholds: Sequence of floats.

    Returns:
        List of dicts: `threshold`; `coverage`, the share of images as sure as that;
        `precision`, the share of these that is right, or None; and for each class the
        number of images put into it, and their precision.
    """
    labels, probabilities = np.asarray(labels), np.asarray(probabilities)
    predicted, confidence = probabilities.argmax(axis=1), probabilities.max(axis=1)
    right = predicted == labels

    def precision(kept):
        return float(right[kept].mean()) if kept.any() else None

    rows = []
    for threshold in thresholds:
        kept = confidence >= threshold
        of_class = [kept & (predicted == number) for number in range(len(class_names))]
        classes = [
            {"name": name, "images": int(one.sum()), "precision": precision(one)}
            for name, one in zip(class_names, of_class, strict=True)
        ]
        rows.append(
            {
                "threshold": threshold,
                "coverage": float(kept.mean()),
                "precision": precision(kept),
                "classes": classes,
            }
        )
    return rows
