"""Colour changes by hand."""

import numpy as np
import tensorflow as tf

from semivit_tf.augment.color import ColorJitter, to_grey


def test_middle_draws_are_the_identity():
    images = np.random.default_rng(0).uniform(0, 255, (2, 4, 4, 3)).astype("float32")
    outputs = ColorJitter(0.4, 0.4, 0.4)(images, tf.fill((2, 3), 0.5))
    np.testing.assert_allclose(outputs, images, atol=1e-3)


def test_luminance_weights():
    image = np.array([[[[100.0, 200.0, 50.0]]]], "float32")
    np.testing.assert_allclose(to_grey(image), 100 * 0.299 + 200 * 0.587 + 50 * 0.114)


def test_each_factor_blends_as_it_should():
    image = np.array([[[[100.0, 50.0, 0.0]], [[20.0, 40.0, 60.0]]]], "float32")
    darker = ColorJitter(brightness=0.4)(image, tf.constant([[0.0, 0.5, 0.5]]))
    np.testing.assert_allclose(darker, image * 0.6, rtol=1e-5)
    flat = ColorJitter(contrast=1.0)(image, tf.constant([[0.5, 0.0, 0.5]]))
    np.testing.assert_allclose(flat, np.full_like(image, to_grey(image).numpy().mean()))
    grey = ColorJitter(saturation=1.0)(image, tf.constant([[0.5, 0.5, 0.0]]))
    np.testing.assert_allclose(
        grey, np.repeat(np.asarray(to_grey(image)), 3, axis=-1), rtol=1e-5
    )


def test_results_stay_in_range():
    images = np.random.default_rng(1).uniform(0, 255, (8, 4, 4, 1)).astype("float32")
    outputs = np.asarray(ColorJitter(0.9, 0.9, 0.9)(images, tf.ones((8, 3))))
    assert outputs.min() >= 0 and outputs.max() <= 255
