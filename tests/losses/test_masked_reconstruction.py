"""The loss of masked autoencoding, by hand and by NumPy."""

import numpy as np

from semivit_tf.losses.masked_reconstruction import (
    masked_mean,
    masked_patch_error,
    normalize_patches,
)


def test_normalised_patches_have_unit_unbiased_variance():
    patches = np.random.default_rng(0).normal(3, 5, (4, 6, 48)).astype("float32")
    normal = np.asarray(normalize_patches(patches), "float64")
    np.testing.assert_allclose(normal.mean(axis=-1), 0, atol=1e-6)
    np.testing.assert_allclose(normal.var(axis=-1, ddof=1), 1, rtol=1e-5)
    expected = (patches - patches.mean(-1, keepdims=True)) / np.sqrt(
        patches.var(-1, ddof=1, keepdims=True) + 1e-6
    )
    np.testing.assert_allclose(normal, expected, rtol=1e-4, atol=1e-5)


def test_a_constant_patch_becomes_zeros():
    np.testing.assert_array_equal(normalize_patches(np.full((1, 2, 12), 7.0)), 0)


def test_error_by_hand():
    targets = np.array([[[1.0, 3.0], [0.0, 0.0]]])
    predictions = np.array([[[0.0, 0.0], [2.0, 0.0]]])
    np.testing.assert_allclose(masked_patch_error(targets, predictions), [[5.0, 2.0]])


def test_the_mean_is_over_hidden_patches_and_not_over_images():
    error = np.array([[5.0, 2.0], [1.0, 3.0]], "float32")
    unequal = np.array([[1.0, 0.0], [1.0, 1.0]], "float32")
    # (5 + 1 + 3) / 3; the mean of the images' means would be (5 + 2) / 2.
    assert float(masked_mean(error, unequal)) == 3.0
    assert float(masked_mean(error, np.ones((2, 2), "float32"))) == 2.75
    assert float(masked_mean(error, np.zeros((2, 2), "float32"))) == 0.0
