"""Mixings of unlabelled images against pairs worked out by hand."""

import keras
import numpy as np
import tensorflow as tf

from semivit_tf.augment.mixing import labeled_mix
from semivit_tf.methods.mixings.pseudo_mixup import PseudoMixup, PseudoMixupPlus

VALUES = np.array([10.0, 20.0, 40.0, 80.0, 160.0, 250.0], "float32")
IMAGES = np.broadcast_to(VALUES[:, None, None, None], (6, 8, 8, 1))
TARGETS = np.eye(6, dtype="float32")
CONFIDENCE = np.array([0.9, 0.2, 0.8, 0.7, 0.1, 0.95], "float32")
WEIGHT = (CONFIDENCE >= 0.6).astype("float32")


def mixed(mixing, seed=3):
    rows = [tf.constant(array) for array in (IMAGES, TARGETS, CONFIDENCE, WEIGHT)]
    return [np.asarray(array) for array in mixing(*rows, seed=seed)]


def partners(targets):
    """Which other row each row was mixed with, and the share that it kept."""
    shares = np.diag(targets)
    others = targets - np.diag(shares)
    np.testing.assert_allclose(targets.sum(axis=1), 1, rtol=1e-6)
    return others.argmax(axis=1), shares


def test_pseudo_mixup_mixes_the_images_that_count_with_one_another():
    seen = set()
    for seed in range(8):  # mixup and cutmix
        images, targets, weight = mixed(PseudoMixup(), seed)
        other, share = partners(targets)
        np.testing.assert_array_equal(weight, WEIGHT)
        assert len(set(share[WEIGHT > 0].round(5))) == 1
        if share[0] < 1:  # else the box is empty
            # Of the rows 0, 2, 3 and 5 the outer ones and the inner ones are pairs.
            np.testing.assert_array_equal(other[[0, 2, 3, 5]], [5, 3, 2, 0])
            seen.add(float(share[0]))
        means = share * VALUES + (1 - share) * VALUES[other]
        np.testing.assert_allclose(images.mean((1, 2, 3)), means, rtol=1e-5)
        np.testing.assert_array_equal(share[[1, 4]], 1)  # they do not count
    assert len(seen) > 4


def test_pseudo_mixup_of_none_or_one_is_still_images():
    rows = [tf.constant(array) for array in (IMAGES, TARGETS, CONFIDENCE)]
    for kept in ([], [2]):
        weight = np.zeros(6, "float32")
        weight[kept] = 1
        images, targets, found = PseudoMixup()(*rows, tf.constant(weight), seed=1)
        np.testing.assert_array_equal(found, weight)
        for row in kept:  # alone, it is mixed with itself
            np.testing.assert_allclose(images[row], IMAGES[row], rtol=1e-6)
            np.testing.assert_allclose(targets[row], TARGETS[row], atol=1e-6)


def test_pseudo_mixup_plus_mixes_all_as_labelled_images_are():
    images, targets, weight = mixed(PseudoMixupPlus(0.5, 0.0))
    expected = labeled_mix(
        tf.constant(IMAGES),
        tf.range(6),
        6,
        mixup_alpha=0.5,
        cutmix_alpha=0.0,
        label_smoothing=0.0,
        seed=3,
    )
    np.testing.assert_allclose(images, expected[0], rtol=1e-6)
    np.testing.assert_allclose(targets, expected[1], rtol=1e-6)
    np.testing.assert_array_equal(weight, WEIGHT)
    np.testing.assert_array_equal(partners(targets)[0], [5, 4, 3, 2, 1, 0])


def test_without_alphas_nothing_is_mixed():
    keras.utils.set_random_seed(0)
    images, targets, _ = mixed(PseudoMixup(0.0, 0.0))
    np.testing.assert_array_equal(images, IMAGES)
    np.testing.assert_array_equal(targets, TARGETS)
