"""Noise, velocity and image: each follows from the others."""

import numpy as np

from semivit_tf.diffusion.predictions import PREDICTIONS, clean_of_noise, noised

CLEAN, NOISE = np.array([0.5, -1.0]), np.array([2.0, 0.25])


def test_by_hand():
    images = noised(CLEAN, NOISE, 0.8, 0.6)
    np.testing.assert_allclose(images, [0.4 + 1.2, -0.8 + 0.15])
    np.testing.assert_allclose(clean_of_noise(images, NOISE, 0.8, 0.6), CLEAN)
    target, _ = PREDICTIONS["v"]
    velocity = target(CLEAN, NOISE, 0.8, 0.6)
    np.testing.assert_allclose(velocity, [1.6 - 0.3, 0.2 + 0.6])


def test_the_noise_follows_from_each_prediction():
    images = noised(CLEAN, NOISE, 0.8, 0.6)
    assert set(PREDICTIONS) == {"noise", "v"}
    for target, noise_of in PREDICTIONS.values():
        predicted = target(CLEAN, NOISE, 0.8, 0.6)
        np.testing.assert_allclose(noise_of(images, predicted, 0.8, 0.6), NOISE)
