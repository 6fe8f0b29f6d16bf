"""Labels are contradicted by answers above the mean of their class: hand values."""

import numpy as np

from semivit_tf.evaluation.label_suspects import label_suspects


def two_classes(first):
    """Returns probabilities `[N, 2]` by those of the first class."""
    return np.stack([first, 1 - np.array(first)], axis=1)


def test_an_answer_counts_above_the_mean_of_its_class():
    """The means are 0.6 for class 0, and 0.75 for class 1."""
    labels = np.array([0, 0, 0, 1, 1])
    found, answers = label_suspects(two_classes([0.9, 0.8, 0.1, 0.3, 0.2]), labels)
    assert (found.tolist(), answers.tolist()) == ([2], [1])


def test_a_class_of_which_answers_are_unsure_needs_less():
    """Means of 0.85 and 0.4: the second image has 0.45 of class 1, and 0.55 < 0.85."""
    labels = np.array([0, 0, 0, 1, 1])
    probabilities = two_classes([1.0, 0.55, 1.0, 0.6, 0.6])
    found, answers = label_suspects(probabilities, labels)
    assert (found.tolist(), answers.tolist()) == ([1], [1])


def test_the_most_contradicted_come_first():
    """Of means 0.64 and 0.7, labels of 0 with 0.1 and 0.2 are contradicted."""
    labels = np.array([0, 0, 0, 0, 0, 1])
    probabilities = two_classes([0.2, 0.1, 0.9, 1.0, 1.0, 0.3])
    assert label_suspects(probabilities, labels)[0].tolist() == [1, 0]


def test_an_answer_that_both_classes_may_be_is_the_likelier_one():
    labels = np.array([0, 1, 2, 0])
    probabilities = np.array(
        [[0.5, 0.3, 0.2], [0.2, 0.3, 0.5], [0.3, 0.3, 0.4], [0.3, 0.4, 0.3]]
    )
    # Means 0.4, 0.3 and 0.4: the second may be 1 or 2, the last only 1.
    found, answers = label_suspects(probabilities, labels)
    assert dict(zip(found.tolist(), answers.tolist(), strict=True)) == {1: 2, 3: 1}


def test_a_class_without_labels_contradicts_nothing():
    """Both images have 0.7 of class 2, of which there is no mean."""
    probabilities = np.array([[0.2, 0.1, 0.7], [0.1, 0.2, 0.7]])
    assert label_suspects(probabilities, np.array([0, 1]))[0].tolist() == []


def test_planted_labels_are_found_among_random_ones():
    """Answers that are right and sure: exactly what was planted comes out."""
    generator = np.random.default_rng(0)
    truth = generator.integers(0, 10, 500)
    labels = truth.copy()
    wrong = generator.choice(500, 25, replace=False)
    labels[wrong] = (truth[wrong] + 1) % 10
    probabilities = 0.02 + 0.8 * np.eye(10)[truth]
    found, answers = label_suspects(probabilities, labels)
    assert sorted(found) == sorted(wrong)
    np.testing.assert_array_equal(answers, truth[found])
