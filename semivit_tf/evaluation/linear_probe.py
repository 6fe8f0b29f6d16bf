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
    features, labels, num_classes, penalty, start=None, steps=300, intercept=True
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
    options = {"maxiter": steps, "gtol": 1e-6}
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
    images, each of which is held out once; of many images, only one fold is.
    """
    rarest = np.bincount(labels)[np.unique(labels)].min()
    if rarest < 2:
        return FALLBACK
    folds = StratifiedKFold(min(_FOLDS, int(rarest)), shuffle=True, random_state=seed)
    splits = list(folds.split(features, labels))
    losses = np.zeros(len(PENALTIES))
    for fitted, apart in splits if len(labels) <= _MANY else splits[:1]:
        matrix = None
        for place, penalty in enumerate(PENALTIES):
            matrix = fit_softmax(
                features[fitted], labels[fitted], num_classes, penalty, matrix
            )
            losses[place] += _cross_entropy(features[apart], labels[apart], matrix)
    return PENALTIES[int(losses.argmin())]


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
    mean, deviation = features.mean(axis=0), features.std(axis=0)
    deviation = np.where(deviation > 1e-6, deviation, 1.0)
    features, queries = (features - mean) / deviation, (queries - mean) / deviation
    if penalty is None:
        penalty = choose_penalty(features, labels, num_classes)
    matrix = fit_softmax(features, labels, num_classes, penalty)
    return scores(queries, matrix).argmax(axis=1), penalty
