"""Views against each other: NumPy, limits, and what gets no gradient."""

import numpy as np
import pytest
import tensorflow as tf
from scipy import stats
from scipy.special import log_softmax, softmax

from semivit_tf.losses.self_distillation import (
    centered_probabilities,
    entropy,
    other_view_pairs,
    view_cross_entropy,
)


def logits(*shape, seed=0):
    return np.random.default_rng(seed).normal(size=shape).astype("float32")


@pytest.mark.parametrize(("local", "terms"), [(0, 2), (1, 4), (8, 18)])
def test_terms_are_two_for_every_view_less_the_two_of_a_view_with_itself(local, terms):
    pairs = other_view_pairs(2, 2 + local)
    assert pairs.shape == (2, 2 + local)
    assert pairs.sum() == 2 * (2 + local) - 2 == terms
    assert pairs[0, 0] == pairs[1, 1] == 0


def test_cross_entropies_equal_numpy():
    teacher, student, center = logits(3, 2, 5), logits(3, 6, 5, seed=1), logits(5)
    probabilities = centered_probabilities(teacher, center, 0.04)
    wanted = softmax((teacher.astype("float64") - center) / 0.04, axis=-1)
    np.testing.assert_allclose(probabilities, wanted, rtol=1e-4, atol=1e-7)
    found = view_cross_entropy(probabilities, student, 0.1)
    expected = np.zeros((3, 2, 6))
    for image, g, v in np.ndindex(3, 2, 6):
        logarithms = log_softmax(student[image, v].astype("float64") / 0.1)
        expected[image, g, v] = -(wanted[image, g] * logarithms).sum()
    np.testing.assert_allclose(found, expected, rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize("outputs", [2, 100, 65536])
def test_uniform_outputs_lose_the_logarithm_of_their_number(outputs):
    teacher, student = np.full((1, 2, outputs), 3.0), np.full((1, 3, outputs), -7.0)
    probabilities = centered_probabilities(teacher, np.zeros(outputs), 0.04)
    found = view_cross_entropy(probabilities, student, 0.1)
    np.testing.assert_allclose(found, np.full((1, 2, 3), np.log(outputs)), rtol=1e-5)
    np.testing.assert_allclose(entropy(probabilities), np.log(outputs), rtol=1e-5)


def test_the_gradient_reaches_the_student_and_not_the_teacher():
    teacher, student = tf.constant(logits(2, 2, 4)), tf.constant(logits(2, 3, 4))
    with tf.GradientTape() as tape:
        tape.watch([teacher, student])
        probabilities = centered_probabilities(teacher, tf.zeros(4), 0.1)
        loss = tf.reduce_sum(view_cross_entropy(probabilities, student, 0.1))
    of_teacher, of_student = tape.gradient(loss, [teacher, student])
    assert of_teacher is None
    q = softmax(student / 0.1, axis=-1)
    p = np.asarray(probabilities).sum(axis=1, keepdims=True)
    np.testing.assert_allclose(of_student, (2 * q - p) / 0.1, rtol=1e-4, atol=1e-5)


def test_half_precision_is_left_before_anything_is_computed():
    teacher = tf.cast(logits(2, 2, 4), "bfloat16")
    student = tf.cast(logits(2, 3, 4, seed=1), "bfloat16")
    probabilities = centered_probabilities(teacher, tf.zeros(4), 0.04)
    found = view_cross_entropy(probabilities, student, 0.1)
    assert probabilities.dtype == found.dtype == tf.float32
    exact = tf.cast(teacher, "float64").numpy(), tf.cast(student, "float64").numpy()
    wanted = softmax(exact[0] / 0.04, axis=-1)
    np.testing.assert_allclose(probabilities, wanted, rtol=1e-4, atol=1e-7)
    expected = -np.einsum("bgk,bvk->bgv", wanted, log_softmax(exact[1] / 0.1, axis=-1))
    np.testing.assert_allclose(found, expected, rtol=1e-4, atol=1e-6)


def test_entropy_equals_scipy_and_survives_zeros():
    drawn = softmax(logits(3, 7), axis=-1)
    np.testing.assert_allclose(entropy(drawn), stats.entropy(drawn, axis=1), rtol=1e-5)
    np.testing.assert_array_equal(entropy(np.float32([[0, 1, 0]])), [0.0])
