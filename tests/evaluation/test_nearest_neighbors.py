"""Votes of neighbours against scikit-learn and by hand."""

import numpy as np
import pytest
import tensorflow as tf
from sklearn.neighbors import KNeighborsClassifier

from semivit_tf.evaluation.nearest_neighbors import vote_of_neighbors
from semivit_tf.evaluation.neighbor_accuracy import NeighborAccuracy


def clusters(count, seed=0):
    generator = np.random.default_rng(seed)
    centres = np.random.default_rng(99).normal(size=(4, 6))
    labels = generator.integers(0, 4, count)
    return centres[labels] + 0.8 * generator.normal(size=(count, 6)), labels


@pytest.mark.parametrize("count", [1, 7, 50, 1000])
def test_votes_are_those_of_scikit_learn(count):
    known, labels = clusters(150)
    queries, _ = clusters(70, seed=1)
    ours = vote_of_neighbors(known, labels, queries, 4, count, chunk=16)

    def unit(features):
        return features / np.linalg.norm(features, axis=1, keepdims=True)

    # On the unit sphere, the cosine is one less half of the squared distance.
    theirs = KNeighborsClassifier(
        min(count, 150), weights=lambda d: np.exp((1 - d**2 / 2) / 0.07)
    )
    theirs.fit(unit(known), labels)
    np.testing.assert_array_equal(ours, theirs.predict(unit(queries)))


def test_a_near_neighbour_outvotes_two_far_ones():
    known = np.array([[1.0, 0.0], [0.0, 1.0], [0.0, 1.0]])
    query = np.array([[2.0, 1.0]])
    # exp((2 - 1) / sqrt(5) / 0.07) is 595: more than two.
    assert vote_of_neighbors(known, [0, 1, 1], query, 2, 3)[0] == 0
    assert vote_of_neighbors(known, [0, 1, 1], query, 2, 3, temperature=1.0)[0] == 1


def test_nobody_votes_for_itself():
    known = np.array([[1.0, 0.0], [1.0, 0.1], [0.0, 1.0], [0.1, 1.0]])
    voted = vote_of_neighbors(known, [0, 1, 0, 1], None, 2, 1)
    np.testing.assert_array_equal(voted, [1, 0, 1, 0])
    # There are three others, however many are asked for.
    assert len(vote_of_neighbors(known, [0, 1, 0, 1], None, 2, 10)) == 4


def test_accuracy_is_logged_under_the_name_of_the_weights():
    known, labels = clusters(60)
    queries, truth = clusters(40, seed=1)

    def batches(features, labels):
        return tf.data.Dataset.from_tensor_slices((features, labels)).batch(16)

    labeled, validation = batches(known, labels), batches(queries, truth)
    traced = []

    def encode(x):
        traced.append(x.shape)
        return x

    watch = NeighborAccuracy("teacher", encode, labeled, validation, 4, [2], 5)
    logs = {}
    watch.on_epoch_end(0, logs)
    assert logs == {}
    watch.on_epoch_end(1, logs)
    voted = vote_of_neighbors(known, labels, queries, 4, 5)
    assert logs == {"teacher_knn_accuracy": np.mean(voted == truth)}
    sizes = traced.copy()
    watch.on_epoch_end(1, logs)
    assert traced == sizes  # not once more for each look
    alone = NeighborAccuracy("teacher", lambda x: x, labeled, None, 4, [1], 5)
    voted = vote_of_neighbors(known, labels, None, 4, 5)
    assert alone.measure() == np.mean(voted == labels) > 0.5
