"""What a judge, a classifier that knows the true labels, says of generated images."""

import numpy as np

from semivit_tf.evaluation.frechet_distance import frechet_distance
from semivit_tf.evaluation.manifolds import (
    distances_to_nearest,
    precision_and_recall,
)

NEIGHBORS = 3  # of the balls of precision and recall
MOST = 5000  # images whose balls are compared
_SEARCHED = 1000  # images whose nearest training image is searched for


def label_agreement(labels, judged, class_names):
    """Returns how often the judge sees the class that an image was generated for.

    Args:
        labels: Integer array `[M]`.
        judged: Integer array `[M]`, what the judge takes the images for.
        class_names: Sequence of K strings.

    Returns:
        JSON-ready dict of the `agreement`, and of `classes`: by name, None where there
        are no images.
    """
    agrees = np.asarray(labels) == np.asarray(judged)
    of_classes = [agrees[labels == number] for number in range(len(class_names))]
    shares = [float(one.mean()) if len(one) else None for one in of_classes]
    return {
        "agreement": float(agrees.mean()),
        "classes": dict(zip(class_names, shares, strict=True)),
    }


def compare_features(generated, real):
    """Returns a JSON-ready dict: the Frechet distance, precision and recall.

    It is None where there are too few images. Precision and recall are those of the
    first few thousand.

    Args:
        generated: Float array `[M, D]` of a network's features.
        real: Float array `[N, D]` of features of real images.
    """
    if min(len(generated), len(real)) <= NEIGHBORS:
        return None
    precision, recall = precision_and_recall(generated[:MOST], real[:MOST], NEIGHBORS)
    return {
        "images": len(generated),
        "frechet_distance": frechet_distance(generated, real),
        "precision": precision,
        "recall": recall,
    }


def nearness(generated, held_out, training, count=1):
    """Returns how near images come to training images, as copies would.

    The first thousand are searched for.

    Args:
        generated: Float array `[M, D]` of features.
        held_out: Float array `[N, D]` of real images that the generator has not seen,
            or None.
        training: Float array `[R, D]` of those that it has seen.
        count: Integer. How many of these to find.

    Returns:
        Tuple of a JSON-ready dict, medians of the distance to the nearest training
        image, and the places of the nearest ones `[min(M, 1000), count]`.
    """
    searched = generated[:_SEARCHED]
    distances, places = distances_to_nearest(searched, training, count)
    medians = {"generated": float(np.median(distances[:, 0]))}
    if held_out is not None:
        others, _ = distances_to_nearest(held_out[:_SEARCHED], training)
        medians["held_out"] = float(np.median(others))
    return medians, places
