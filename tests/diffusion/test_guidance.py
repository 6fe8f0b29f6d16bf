"""Guidance by hand, and on classes whose distributions are known."""

import numpy as np
import pytest

from semivit_tf.diffusion import LinearSchedule, guided, solve
from tests.diffusion.known_gaussian import KnownGaussian

LABELS = np.array([1, 0, 1])
NO_CLASS = 2
IMAGES = np.array([0.5, -1.0, 2.0], "float32").reshape(3, 1, 1, 1)


class Network:
    """Predicts x + 10 for class 0, x * 3 for class 1 and x * t without a class."""

    def __init__(self):
        self.rows = []

    def __call__(self, x, t, labels):
        x, labels = np.asarray(x), np.asarray(labels).reshape(-1, 1, 1, 1)
        self.rows.append(len(x))
        return np.select([labels == 0, labels == 1], [x + 10, x * 3], x * t)


def test_without_guidance_the_class_alone_is_asked_for():
    network = Network()
    found = guided(network, LABELS, 0.0, NO_CLASS)(IMAGES, 0.5)
    np.testing.assert_array_equal(found.ravel(), [1.5, 9.0, 6.0])
    assert network.rows == [3]


@pytest.mark.parametrize("guidance", [-1.0, 0.4, 2.0])
def test_both_rows_of_an_image_are_asked_for_at_once(guidance):
    network = Network()
    found = guided(network, LABELS, guidance, NO_CLASS)(IMAGES, 0.5)
    of_class, of_none = np.array([1.5, 9.0, 6.0]), np.array([0.25, -0.5, 1.0])
    # Affine in the guidance: the class at 0, none at -1.
    expected = (1 + guidance) * of_class - guidance * of_none
    np.testing.assert_allclose(found.ravel(), expected, rtol=1e-6)
    assert network.rows == [6]


def test_guidance_moves_a_class_away_from_the_mean_of_all():
    """With one variance, the noise is that of a mean that lies so much further."""
    schedule = LinearSchedule()
    means, mixture, guidance = (0.2, 0.6), 0.4, 1.5
    known = {
        **{label: KnownGaussian(schedule, mean) for label, mean in enumerate(means)},
        NO_CLASS: KnownGaussian(schedule, mixture),
    }

    def predict(x, t, labels):
        x = np.asarray(x)
        rows = zip(x, np.asarray(labels), strict=True)
        return np.stack(
            [known[int(label)].predict_noise(row, t) for row, label in rows]
        )

    labels = np.array([0, 1])
    noise = np.random.default_rng(0).normal(size=(2, 50))
    found = solve(guided(predict, labels, guidance, NO_CLASS), noise, schedule)
    for row, label in enumerate(labels):
        mean = means[label] + guidance * (means[label] - mixture)
        moved = KnownGaussian(schedule, mean)
        expected = solve(moved.predict_noise, noise[row], schedule)
        np.testing.assert_allclose(found[row], expected, rtol=0, atol=1e-6)
    assert found[0].mean() < found[1].mean() - 0.7
