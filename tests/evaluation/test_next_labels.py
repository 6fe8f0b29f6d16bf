"""Images to label next are unsure and unlike each other, by hand values."""

import numpy as np
import pytest

from semivit_tf.evaluation.next_labels import choose_next


def gradients(features, probabilities):
    """The outer products themselves, flat: what the function never makes."""
    answers = np.eye(probabilities.shape[1])[probabilities.argmax(1)]
    outer = (probabilities - answers)[:, :, None] * features[:, None, :]
    return outer.reshape(len(features), -1)


def test_the_first_is_the_least_sure_of_equally_long_features():
    """Squared lengths 2 (1 - p)^2: 0.02, 0.32, 0.08."""
    probabilities = np.array([[0.9, 0.1], [0.4, 0.6], [0.8, 0.2]])
    assert choose_next(np.eye(3), probabilities, 1).tolist() == [1]


def test_an_image_like_a_chosen_one_is_not_chosen():
    """Of four equally unsure images, the second is a copy of the first."""
    features = np.array([[3.0, 0], [3.0, 0], [0, 1.0], [0, 1.0]])
    probabilities = np.full((4, 2), 0.5)
    for seed in range(20):
        first, second = choose_next(features, probabilities, 2, seed)
        assert first == 0 and second in (2, 3)


def test_a_sure_image_is_not_chosen():
    """Its gradient is zero."""
    probabilities = np.array([[1.0, 0], [1.0, 0], [0.6, 0.4]])
    assert choose_next(np.eye(3), probabilities, 1).tolist() == [2]


@pytest.mark.parametrize("seed", [0, 1])
def test_chances_are_squared_distances_of_the_gradients(seed):
    """The same draws with the outer products themselves."""
    generator = np.random.default_rng(5)
    features = generator.normal(size=(40, 6)).astype("float32")
    scores = np.exp(generator.normal(size=(40, 4)))
    probabilities = scores / scores.sum(axis=1, keepdims=True)
    plain = gradients(features, probabilities)
    chosen, draws = [int((plain**2).sum(1).argmax())], np.random.default_rng(seed)
    for _ in range(9):
        apart = ((plain[:, None] - plain[chosen]) ** 2).sum(-1).min(1)
        apart[chosen] = 0
        chosen.append(int(draws.choice(40, p=apart / apart.sum())))
    assert choose_next(features, probabilities, 10, seed).tolist() == chosen


def test_all_images_can_be_asked_for_even_equal_ones():
    features, probabilities = np.ones((5, 2)), np.full((5, 2), 0.5)
    assert sorted(choose_next(features, probabilities, 5)) == [0, 1, 2, 3, 4]
