"""Linear probe: classification by a linear map of features.

A softmax regression on features of zero mean and unit deviation, with a penalty on its
squared weights. It is convex: L-BFGS finds the minimum, without a learning rate. The
penalty is chosen on labelled images that are held out.
"""

import numpy as np
import tensorflow as tf
from scipy.optimize import minimize
from sklearn.model_selection import StratifiedKFold

PENALTIES = tuple(10.0**power for power in (0, -1, -2, -3, -4, -5, -6))
# The penalty where there are too few labels to choose one.
FALLBACK = 1e-2
_FOLDS, _MANY = 5, 20_000
# By how much an iteration should lower the loss: to compare penalties, and at the end.
_ROUGH, _FINE = 1e-5, 1e-9


@tf.function(
    input_signature=(
        tf.TensorSpec((None, None), tf.float32),
        tf.TensorSpec((None,), tf.int32),
        tf.TensorSpec((), tf.float32),
        tf.TensorSpec((None, None), tf.float32),
    )
)
def _loss_and_gradient(inputs, classes, penalty, matrix):
    with tf.GradientTape() as tape:
        tape.watch(matrix)
        logits = tf.matmul(inputs, matrix[:-1]) + matrix[-1]
        loss = tf.reduce_mean(
            tf.nn.sparse_softmax_cross_entropy_with_logits(classes, logits)
        )
        loss += 0.5 * penalty * tf.reduce_sum(matrix[:-1] ** 2)
    return loss, tape.gradient(loss, matrix)


def fit_softmax(
    features,
    labels,
    num_classes,
    penalty,
    start=None,
    steps=300,
    intercept=True,
    tolerance=_FINE,
):
    """Returns the weights and, in the last row, biases `[D + 1, K]` at the minimum.

    Args:
        features: Float array `[N, D]`.
        labels: Integer array `[N]`.
        num_classes: Integer K.
        penalty: Float. Half of it times the squared weights is added to the mean loss;
            biases are not penalised.
        start: Optional array `[D + 1, K]` to start from.
        steps: Integer. The largest number of iterations.
        intercept: Bool. Whether there are biases; else they are 0.
        tolerance: Float. An iteration that lowers the loss by less is the last.
    """
    inputs = tf.constant(features, tf.float32)
    classes = tf.constant(labels, tf.int32)
    shape = (features.shape[1] + 1, num_classes)

    def objective(flat):
        matrix = flat.reshape(shape).astype("float32")
        loss, gradient = _loss_and_gradient(inputs, classes, penalty, matrix)
        gradient = gradient.numpy().astype("float64")
        gradient[-1] *= intercept
        return float(loss), gradient.ravel()

    first = np.zeros(shape) if start is None else start
    options = {"maxiter": steps, "gtol": 1e-6, "ftol": tolerance}
    found = minimize(
        objective, first.ravel(), jac=True, method="L-BFGS-B", options=options
    )
    return found.x.reshape(shape)


def scores(features, matrix):
    """Returns the scores `[N, K]` of features."""
    return features @ matrix[:-1] + matrix[-1]


def _cross_entropy(features, labels, matrix):
    logits = scores(features, matrix)
    highest = logits.max(axis=1, keepdims=True)
    total = highest[:, 0] + np.log(np.exp(logits - highest).sum(axis=1))
    return np.mean(total - logits[np.arange(len(labels)), labels])


def choose_penalty(features, labels, num_classes, seed=0):
    """Returns the penalty with the smallest loss on held-out labelled images.

    The labelled images are divided into five folds, or as many as the rarest class has
    images, each of which is held out once; of many images, only one fold is. Smaller
    penalties are not tried once the loss has risen twice: they take longest.
    """
    rarest = np.bincount(labels)[np.unique(labels)].min()
    if rarest < 2:
        return FALLBACK
    folds = StratifiedKFold(min(_FOLDS, int(rarest)), shuffle=True, random_state=seed)
    splits = list(folds.split(features, labels))
    splits = splits if len(labels) <= _MANY else splits[:1]
    matrices, losses = [None] * len(splits), []
    for penalty in PENALTIES:
        losses.append(0.0)
        for number, (fitted, apart) in enumerate(splits):
            matrices[number] = fit_softmax(
                features[fitted],
                labels[fitted],
                num_classes,
                penalty,
                matrices[number],
                tolerance=_ROUGH,
            )
            losses[-1] += _cross_entropy(
                features[apart], labels[apart], matrices[number]
            )
        if len(losses) > 2 and losses[-1] > losses[-2] > losses[-3]:
            break
    return PENALTIES[int(np.argmin(losses))]


def linear_probe(features, labels, queries, num_classes, penalty=None):
    """Fits labelled features and classifies others.

    Args:
        features: Float array `[N, D]`.
        labels: Integer array `[N]`.
        queries: Float array `[M, D]`.
        num_classes: Integer.
        penalty: Optional float; chosen if it is not given.

    Returns:
        Tuple `(classes [M], penalty)`.
    """
    found, penalty = probe_scores(features, labels, queries, num_classes, penalty)
    return found.argmax(axis=1), penalty


def probe_scores(features, labels, queries, num_classes, penalty=None):
    """Does what `linear_probe` does; returns scores `[M, K]` in place of classes."""
    mean, deviation = features.mean(axis=0), features.std(axis=0)
    deviation = np.where(deviation > 1e-6, deviation, 1.0)
    features, queries = (features - mean) / deviation, (queries - mean) / deviation
    features, queries = _without_empty_directions(features, queries)
    if penalty is None:
        penalty = choose_penalty(features, labels, num_classes)
    matrix = fit_softmax(features, labels, num_classes, penalty)
    return scores(queries, matrix), penalty


def _without_empty_directions(features, queries):
    """Returns fewer features where there are more than images: the same minimum.

    The penalty leaves nothing in directions that no labelled image has, and does not
    change where the others are rotated.
    """
    if features.shape[0] >= features.shape[1]:
        return features, queries
    directions = np.linalg.svd(features, full_matrices=False)[2].T
    return features @ directions, queries @ directions
