"""Numbers about generated images, on features made by hand."""

import numpy as np

from semivit_tf.evaluation.frechet_distance import frechet_distance
from semivit_tf.evaluation.generated_images import (
    compare_features,
    label_agreement,
    nearness,
)
from semivit_tf.evaluation.metrics import class_rows


def test_agreement_is_counted_over_all_and_by_class():
    found = label_agreement(np.array([0, 0, 1, 1, 1]), [0, 1, 1, 1, 0], "abc")
    assert found["agreement"] == 3 / 5
    assert found["classes"] == {"a": 1 / 2, "b": 2 / 3, "c": None}


def test_precision_and_recall_of_pseudo_labels():
    truth, pseudo = [0, 0, 0, 1, 1, 2], [0, 0, 1, 1, 0, 0]
    rows = class_rows(truth, pseudo, ["a", "b", "c"])
    assert [row["precision"] for row in rows] == [1 / 2, 1 / 2, 0]
    assert [row["recall"] for row in rows] == [2 / 3, 1 / 2, 0]
    assert [row["images"] for row in rows] == [3, 2, 1]


def test_features_like_the_real_ones_are_nearer_than_others():
    generator = np.random.default_rng(0)
    real, same = generator.normal(size=(2, 100, 4))
    near, far = compare_features(same, real), compare_features(same + 9, real)
    assert near["frechet_distance"] == frechet_distance(same, real)
    assert near["frechet_distance"] < 1 < 300 < far["frechet_distance"]
    assert near["precision"] > 0.6 and far["precision"] == far["recall"] == 0
    assert near["images"] == 100
    assert compare_features(same[:3], real) is None


def test_copies_are_nearer_to_training_images_than_held_out_ones():
    training = np.arange(6.0)[:, None] * 10
    medians, places = nearness(training[[4, 2]] + 0.5, training + 3, training)
    assert medians == {"generated": 0.5, "held_out": 3.0}
    assert places.tolist() == [[4], [2]]
    assert nearness(training[:1], None, training, 2)[1].tolist() == [[0, 1]]
    assert nearness(training, None, training)[0] == {"generated": 0.0}
