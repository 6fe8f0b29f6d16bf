"""Frechet distance between two sets of features, taken as normal distributions.

A distance depends on the network of the features, and is named after it: only that of
one published Inception network is called FID.
"""

import numpy as np


def mean_and_covariance(features):
    """Returns the mean `[D]` and the unbiased covariance `[D, D]`, in float64.

    Args:
        features: Float array `[N, D]`, N at least 2.
    """
    features = np.asarray(features, "float64")
    if features.ndim != 2 or len(features) < 2 or not np.isfinite(features).all():
        raise ValueError(
            "`features` should be finite numbers [N, D] of at least two images. "
            f"Received: shape {features.shape}"
        )
    covariance = np.cov(features, rowvar=False)
    return features.mean(axis=0), covariance.reshape(2 * features.shape[1:])


def _factor(covariance):
    """Returns a matrix F with F^T F = covariance, which may be singular."""
    values, vectors = np.linalg.eigh(covariance)
    return np.sqrt(values.clip(0.0))[:, None] * vectors.T


def distance_of_normals(mean, covariance, other_mean, other_covariance):
    """Returns |m - n|^2 + trace(S + T - 2 (S T)^(1/2)).

    With S = F^T F and T = G^T G the last trace is the sum of the singular values of
    F G^T, which needs no square root of a product that rounding has made asymmetric.

    Reference:
        Dowson and Landau, The Frechet Distance between Multivariate Normal
        Distributions, 1982.
    """
    product = _factor(covariance) @ _factor(other_covariance).T
    shared = np.linalg.svd(product, compute_uv=False).sum()
    spread = np.trace(covariance) + np.trace(other_covariance) - 2 * shared
    return float(np.sum((mean - other_mean) ** 2) + max(spread, 0.0))


def frechet_distance(features, others):
    """Returns the distance between features `[N, D]` and others `[M, D]`.

    Fewer images than about ten times D make it too large, so that distances should be
    compared at equal numbers of images.
    """
    return distance_of_normals(
        *mean_and_covariance(features), *mean_and_covariance(others)
    )
