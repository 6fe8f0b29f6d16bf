"""Which images to label next: those that would change a classifier most, and variously.

Were the likeliest class of an image its label, the gradient of the loss by the last
layer would be the outer product of `p - onehot` and the image's feature. It is long
where the classifier is unsure, and two of them are alike where images are. k-means++
chooses images far from each other in that space, one after the other.

Reference:
    Ash et al., Deep Batch Active Learning by Diverse, Uncertain Gradient Lower Bounds,
    2020 (BADGE).
"""

import numpy as np


def choose_next(features, probabilities, count, seed=0):
    """Returns the images to label next `[count]`, by index, each once.

    The first is the one with the longest gradient; each further one is drawn with a
    chance that grows with its squared distance to the nearest of those before it.

    Args:
        features: Float array `[N, D]`.
        probabilities: Float array `[N, K]`.
        count: Integer of at most N.
        seed: Integer.
    """
    errors = probabilities - np.eye(probabilities.shape[1])[probabilities.argmax(1)]
    errors, features = errors.astype("float32"), features.astype("float32")
    lengths = (errors**2).sum(axis=1) * (features**2).sum(axis=1)
    generator = np.random.default_rng(seed)
    free = np.ones(len(features), bool)
    nearest, chosen = np.full(len(features), np.inf), [int(lengths.argmax())]
    while True:
        last = chosen[-1]
        free[last] = False
        if len(chosen) == count:
            return np.array(chosen)
        # The inner product of two outer products is that of both pairs of factors.
        alike = (errors @ errors[last]) * (features @ features[last])
        distances = lengths + lengths[last] - 2.0 * alike
        nearest = np.minimum(nearest, distances.clip(0)) * free
        total = nearest.sum(dtype="float64")
        # Where nothing is left that differs, any other image will do.
        chances = nearest / total if total > 0 else free / free.sum()
        chosen.append(int(generator.choice(len(chances), p=chances / chances.sum())))
