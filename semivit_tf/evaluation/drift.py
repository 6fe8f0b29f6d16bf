"""Whether new images are like earlier ones: a test of two samples.

Features are compared by the energy distance, whose null distribution comes from drawing
anew which images are the new ones; confidences by the test of Kolmogorov and Smirnov.
Both hold their rate of false alarms for any distribution, and so does the smaller of
the two p-values, doubled.

References:
    Székely and Rizzo, Testing for Equal Distributions in High Dimension, 2004.
    Rabanser et al., Failing Loudly: An Empirical Study of Methods for Detecting Dataset
    Shift, 2019.
"""

import numpy as np
from scipy.spatial.distance import cdist
from scipy.stats import ks_2samp

from semivit_tf.evaluation.foreign_images import foreignness, whitening

DRAWS = 999
_AT_A_TIME = 100  # draws
_ROUNDING = 1e-9  # of distances that would be equal


def energy_test(first, second, draws=DRAWS, seed=0):
    """Returns the energy distance of two samples, and its p-value by permutation.

    Args:
        first: Float array `[N, D]`.
        second: Float array `[M, D]`.
        draws: Integer. The smallest p-value is `1 / (draws + 1)`.
        seed: Integer.
    """
    both = np.concatenate([first, second])
    distances, count = cdist(both, both), len(first)

    def energies(inside):
        """Returns the energy distance for each row of membership `[R, N + M]`."""
        sums = inside @ distances
        within = np.einsum("rn,rn->r", sums, inside)
        between = sums.sum(axis=1) - within
        rest = distances.sum() - within - 2 * between
        here, there = count, len(both) - count
        return 2 * between / (here * there) - within / here**2 - rest / there**2

    generator = np.random.default_rng(seed)
    start = np.arange(len(both)) < count
    found = float(energies(start[None].astype("float64"))[0])
    least, above = found - _ROUNDING * max(distances.mean(), 1e-300), 0
    for begin in range(0, draws, _AT_A_TIME):
        rows = np.tile(start, (min(_AT_A_TIME, draws - begin), 1))
        drawn = generator.permuted(rows, axis=1).astype("float64")
        above += int((energies(drawn) >= least).sum())
    return found, (above + 1) / (draws + 1)


def compare_samples(reference, new, draws=DRAWS, seed=0):
    """Compares new images with earlier ones by what a network makes of them.

    Args:
        reference: Tuple of features `[N, D]` and confidences `[N]`.
        new: The same of M new images.
        draws: See `energy_test`; so is the next.
        seed: Integer.

    Returns:
        Dict of the joined `p_value`, and what was found in `features` and
        `confidences`.
    """
    whiten = whitening(np.concatenate([reference[0], new[0]]))
    energy, by_features = energy_test(whiten(reference[0]), whiten(new[0]), draws, seed)
    tested = ks_2samp(reference[1], new[1])
    by_confidences = float(tested.pvalue)
    return {
        "p_value": min(1.0, 2 * min(by_features, by_confidences)),
        "features": {"p_value": by_features, "energy_distance": energy},
        "confidences": {
            "p_value": by_confidences,
            "largest_difference": float(tested.statistic),
            "mean": float(np.mean(new[1])),
            "mean_of_reference": float(np.mean(reference[1])),
        },
    }


def strangest(reference, new, most):
    """Returns the places in `new` that are farthest from the reference, and how far.

    Args:
        reference: Float array `[N, D]` of features.
        new: Float array `[M, D]`.
        most: Integer. How many places.
    """
    whiten = whitening(np.concatenate([reference, new]))
    distances = foreignness(whiten(new), whiten(reference))
    places = np.argsort(-distances, kind="stable")[:most]
    return places, distances[places]
