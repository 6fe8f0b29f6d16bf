"""Foreign images by hand and against scikit-learn, and how many false alarms."""

import numpy as np
import pytest
from sklearn.neighbors import NearestNeighbors

from semivit_tf.evaluation.foreign_images import (
    fewest_known,
    foreign_limit,
    foreign_share,
    foreignness,
    whitening,
)


def unit(features):
    return features / np.linalg.norm(features, axis=1, keepdims=True)


def test_distances_by_hand():
    known = np.array([[1.0, 0.0], [0.6, 0.8], [0.0, 1.0]])
    queries = np.array([[1.0, 0.0], [0.8, 0.6], [-1.0, 0.0]])
    # Cosines of the second: 0.8, 0.96, 0.6; of the third: -1, -0.6, 0.
    np.testing.assert_allclose(foreignness(queries, known), [0, 0.04, 1], atol=1e-12)
    np.testing.assert_allclose(foreignness(None, known), [0.4, 0.2, 0.2], atol=1e-12)
    assert foreignness(queries[:0], known).shape == (0,)


def test_distances_are_those_of_scikit_learn(monkeypatch):
    generator = np.random.default_rng(0)
    known, queries = (unit(generator.normal(size=(n, 7))) for n in (40, 90))
    theirs = NearestNeighbors(n_neighbors=2, metric="cosine").fit(known)
    whole = foreignness(queries, known), foreignness(None, known)
    np.testing.assert_allclose(whole[0], theirs.kneighbors(queries)[0][:, 0], atol=1e-9)
    np.testing.assert_allclose(whole[1], theirs.kneighbors(known)[0][:, 1], atol=1e-9)
    monkeypatch.setattr("semivit_tf.evaluation.foreign_images._CHUNK", 300)
    np.testing.assert_array_equal(foreignness(queries, known), whole[0])
    np.testing.assert_array_equal(foreignness(None, known), whole[1])


def test_whitening_by_hand():
    # Variances 4 and 1, their mean 2.5: divided by the roots of 6.5 and 3.5.
    features = np.array([[3.0, 1.0], [3.0, -1.0], [-1.0, 1.0], [-1.0, -1.0]])
    found = whitening(features)(features) * [1, 1]
    wanted = unit(np.array([[2 / 6.5**0.5, 1 / 3.5**0.5]]))[0]
    np.testing.assert_allclose(np.sort(np.abs(found[0])), np.sort(wanted), atol=1e-12)
    np.testing.assert_allclose(np.linalg.norm(found, axis=1), 1)


def test_whitening_does_not_depend_on_place_scale_and_axes():
    generator = np.random.default_rng(1)
    features = generator.normal(size=(60, 5)) * [9, 5, 3, 1, 0]
    turn, _ = np.linalg.qr(generator.normal(size=(5, 5)))
    others = 7 * features @ turn + generator.normal(size=5)
    one, other = (whitening(some)(some) for some in (features, others))
    np.testing.assert_allclose(one @ one.T, other @ other.T, atol=1e-9)


def test_features_that_are_all_alike_are_finite():
    found = whitening(np.ones((4, 3)))(np.ones((2, 3)))
    np.testing.assert_array_equal(found, 0)
    np.testing.assert_array_equal(foreignness(None, found), 1)


def test_the_limit_is_the_place_that_the_share_needs():
    distances = np.arange(1.0, 20.0)  # (19 + 1) 0.95 = 19: the highest
    assert foreign_limit(distances[::-1], 0.05) == 19
    assert foreign_limit(distances, 0.5) == 10
    assert (fewest_known(0.05), fewest_known(0.5), fewest_known(0.3)) == (19, 1, 3)
    with pytest.raises(ValueError, match="at least 19 images .* Received: 18"):
        foreign_limit(distances[1:], 0.05)


def test_as_many_are_taken_for_foreign_as_is_said():
    generator, beyond = np.random.default_rng(2), []
    for _ in range(200):
        known, queries = (unit(generator.normal(size=(n, 6))) for n in (99, 50))
        limit = foreign_limit(foreignness(None, known), 0.1)
        beyond.append(np.mean(foreignness(queries, known) > limit))
    assert 0.08 < np.mean(beyond) < 0.105  # of 10,000 draws, 0.01 is three deviations


def test_another_cluster_is_found():
    generator = np.random.default_rng(3)
    centres = np.eye(8)[:5] * 6
    known = centres[np.arange(100) % 4] + generator.normal(size=(100, 8))
    native = centres[np.arange(400) % 4] + generator.normal(size=(400, 8))
    foreign = centres[[4] * 100] + generator.normal(size=(100, 8))
    whiten = whitening(np.concatenate([known, native, foreign]))
    limit = foreign_limit(foreignness(None, whiten(known)), 0.05)
    found = [foreignness(whiten(x), whiten(known)) > limit for x in (native, foreign)]
    assert found[0].mean() < 0.1 and found[1].mean() > 0.9


def test_the_share_is_without_false_alarms():
    assert foreign_share(24, 100, 0.05) == pytest.approx(0.2)  # 20 + 5 % of 80
    assert foreign_share(5, 100, 0.05) == foreign_share(0, 100, 0.05) == 0
    assert foreign_share(100, 100, 0.05) == 1
