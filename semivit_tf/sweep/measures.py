"""What a sweep keeps of an evaluation; results by class are in the runs' folders."""

from semivit_tf.evaluation.coarse_classes import coarse_accuracy

COARSE = "coarse_accuracy"
# What tables call each measure.
TITLES = {
    "accuracy": "accuracy",
    "macro_precision": "macro precision",
    "macro_recall": "macro recall",
    "macro_f1": "macro F1",
    COARSE: "coarse accuracy",
}


def measures_of(row, labels_used, coarse=None):
    """Returns what a sweep keeps of an evaluation.

    Args:
        row: What `evaluate_probabilities` returned.
        labels_used: Integer.
        coarse: Optional dict of class to coarse class, in the order of the classes.
    """
    found = {name: row[name] for name in TITLES if name in row}
    if coarse:
        found[COARSE] = coarse_accuracy(row["confusion"], list(coarse.values()))
    return {**found, "images": row["images"], "labels_used": labels_used}
