"""Softmax regression against scikit-learn's."""

import numpy as np
from sklearn.datasets import load_digits
from sklearn.linear_model import LogisticRegression

from semivit_tf.evaluation.features import extract_features
from semivit_tf.evaluation.linear_probe import (
    FALLBACK,
    PENALTIES,
    choose_penalty,
    fit_softmax,
    linear_probe,
    probe_scores,
    scores,
)


def digits():
    data = load_digits()
    return data.data.astype("float32") / 16.0, data.target


def test_the_minimum_is_scikit_learns():
    features, labels = digits()
    features, labels = features[:300], labels[:300]
    matrix = fit_softmax(features, labels, 10, penalty=1e-2, steps=2000)
    # Theirs adds up losses, ours averages them.
    theirs = LogisticRegression(C=1 / (300 * 1e-2), tol=1e-8, max_iter=5000)
    theirs.fit(features, labels)
    np.testing.assert_allclose(matrix[:-1].T, theirs.coef_, atol=2e-3)
    difference = scores(features, matrix) - theirs.decision_function(features)
    # Adding a number to the scores of all classes changes nothing.
    assert np.abs(difference - difference.mean(axis=1, keepdims=True)).max() < 5e-3


def test_without_biases_the_minimum_is_scikit_learns_as_well():
    """With the penalty of 0.0025 / n theirs has C = 400, whatever n is."""
    features, labels = digits()
    features, labels = (
        features[:60] / np.linalg.norm(features[:60], axis=1)[:, None],
        (labels[:60]),
    )
    matrix = fit_softmax(features, labels, 10, 0.0025 / 60, steps=5000, intercept=False)
    theirs = LogisticRegression(C=400, fit_intercept=False, tol=1e-9, max_iter=20000)
    theirs.fit(features, labels)
    assert np.abs(matrix[:-1]).max() > 1 and not matrix[-1].any()
    size = np.abs(theirs.coef_).max()
    np.testing.assert_allclose(matrix[:-1].T, theirs.coef_, atol=0.02 * size)


def test_probe_learns_the_digits_and_scales_do_not_matter():
    features, labels = digits()
    known, truth = features[:800], labels[:800]
    classes, penalty = linear_probe(known, truth, features[800:], 10)
    assert penalty in PENALTIES
    accuracy = np.mean(classes == labels[800:])
    assert accuracy > 0.9
    stretched = features * np.linspace(0.1, 30, 64) + 5
    again, _ = linear_probe(stretched[:800], truth, stretched[800:], 10, penalty)
    assert np.mean(again == classes) > 0.995


def test_more_features_than_images_have_scikit_learns_minimum():
    """It is looked for in the directions that the images have."""
    generator = np.random.default_rng(1)
    labels = np.arange(30) % 3
    features = (
        generator.normal(size=(30, 100)) + np.eye(3)[labels].repeat(34, 1)[:, :100]
    )
    queries = generator.normal(size=(20, 100))
    found, penalty = probe_scores(features, labels, queries, 3, penalty=0.1)
    assert penalty == 0.1
    mean, deviation = features.mean(axis=0), features.std(axis=0)
    theirs = LogisticRegression(C=1 / (30 * 0.1), tol=1e-8, max_iter=5000)
    theirs.fit((features - mean) / deviation, labels)
    difference = found - theirs.decision_function((queries - mean) / deviation)
    assert np.abs(difference - difference.mean(axis=1, keepdims=True)).max() < 5e-3


def test_noise_wants_a_large_penalty_and_single_labels_no_choice():
    generator = np.random.default_rng(0)
    noise = generator.normal(size=(200, 30))
    assert choose_penalty(noise, np.arange(200) % 4, 4) >= 0.1
    assert choose_penalty(noise[:4], np.arange(4), 4) == FALLBACK


def test_features_of_batches_are_joined():
    batches = [(np.full((2, 3), 1.0), [0, 1]), (np.full((1, 3), 2.0), [2])]
    features, labels = extract_features(lambda x: 2 * x, batches)
    np.testing.assert_array_equal(features, [[2] * 3, [2] * 3, [4] * 3])
    np.testing.assert_array_equal(labels, [0, 1, 2])
    assert features.dtype == np.float32
