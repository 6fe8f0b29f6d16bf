"""Accuracies of predicted probabilities, overall and by class."""

import numpy as np
from sklearn.metrics import confusion_matrix, precision_recall_fscore_support

from semivit_tf.evaluation.interval import share_interval


def top_k_accuracy(labels, probabilities, k):
    """Returns the share of images whose label is among the k most probable classes.

    Of equal probabilities the one of the lower class comes first.
    """
    ranked = np.argsort(-np.asarray(probabilities), axis=1, kind="stable")[:, :k]
    return float(np.mean(np.any(ranked == np.asarray(labels)[:, None], axis=1)))


def evaluate_probabilities(labels, probabilities, class_names):
    """Returns a JSON-ready dict of accuracies, macro averages and a row per class.

    Args:
        labels: Integer array `[N]`.
        probabilities: Float array `[N, K]`.
        class_names: Sequence of K strings.
    """
    labels, probabilities = np.asarray(labels), np.asarray(probabilities)
    predicted = probabilities.argmax(axis=1)
    rows = class_rows(labels, predicted, class_names)
    right = probabilities[np.arange(len(labels)), labels]
    accuracy = top_k_accuracy(labels, probabilities, 1)
    return {
        "images": len(labels),
        "accuracy": accuracy,
        "accuracy_interval": list(share_interval(accuracy, len(labels))),
        "top5_accuracy": top_k_accuracy(labels, probabilities, 5),
        "cross_entropy": float(np.mean(-np.log(np.maximum(right, 1e-12)))),
        **{
            f"macro_{name}": float(np.mean([row[name] for row in rows]))
            for name in ("precision", "recall", "f1")
        },
        "classes": rows,
        "confusion": confusion_matrix(
            labels, predicted, labels=np.arange(len(class_names))
        ).tolist(),
    }


def class_rows(labels, predicted, class_names):
    """Returns a JSON-ready list: images, precision, recall and F1 of each class.

    Args:
        labels: Integer array `[N]`.
        predicted: Integer array `[N]`.
        class_names: Sequence of K strings.
    """
    precision, recall, f1, support = precision_recall_fscore_support(
        labels, predicted, labels=np.arange(len(class_names)), zero_division=0
    )
    return [
        {
            "name": name,
            "images": int(support[number]),
            "precision": float(precision[number]),
            "recall": float(recall[number]),
            "f1": float(f1[number]),
        }
        for number, name in enumerate(class_names)
    ]
