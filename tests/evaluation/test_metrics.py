"""Metrics by hand and against scikit-learn."""

import numpy as np
from sklearn.metrics import f1_score

from semivit_tf.evaluation.metrics import evaluate_probabilities, top_k_accuracy
from semivit_tf.evaluation.tables import results_table


def test_top_k_by_hand():
    probabilities = [[0.5, 0.3, 0.2], [0.1, 0.2, 0.7], [0.4, 0.4, 0.2]]
    assert top_k_accuracy([1, 2, 1], probabilities, 1) == 1 / 3
    assert top_k_accuracy([1, 2, 1], probabilities, 2) == 1.0


def test_report_agrees_with_scikit_learn():
    generator = np.random.default_rng(0)
    labels = generator.integers(0, 4, 200)
    probabilities = generator.dirichlet(np.ones(4), 200)
    report = evaluate_probabilities(labels, probabilities, list("abcd"))
    predicted = probabilities.argmax(axis=1)
    assert report["accuracy"] == (predicted == labels).mean()
    np.testing.assert_allclose(
        report["macro_f1"], f1_score(labels, predicted, average="macro")
    )
    np.testing.assert_allclose(
        report["cross_entropy"], -np.log(probabilities[np.arange(200), labels]).mean()
    )
    assert np.sum(report["confusion"]) == 200
    assert sum(row["images"] for row in report["classes"]) == 200
    for number, row in enumerate(report["classes"]):
        of_class = labels == number
        np.testing.assert_allclose(
            row["recall"], (predicted[of_class] == number).mean()
        )


def test_table_is_aligned():
    row = {"stage": "finetune", "weights": "student", "labels_used": 40, "images": 359}
    table = results_table([{**row, "accuracy": 0.87654, "top5_accuracy": 1.0}])
    assert table.splitlines() == [
        "stage     weights  labels used  test accuracy  top-5",
        "--------  -------  -----------  -------------  --------",
        "finetune  student  40           87.65 %        100.00 %",
    ]


def test_table_says_of_which_epoch_weights_are_where_some_were_chosen():
    row = {"weights": "student", "labels_used": 4, "accuracy": 0.5, "top5_accuracy": 1}
    row["images"] = 359
    last = {**row, "stage": "finetune", "checkpoint": "last", "epoch": 12}
    file = {**row, "stage": "init_from", "checkpoint": None, "epoch": None}
    assert "checkpoint" not in results_table([last, file])
    best = {**last, "checkpoint": "best", "epoch": 7}
    lines = results_table([last, best, file]).splitlines()
    assert lines[0].startswith("stage      weights  checkpoint      labels used")
    assert [line[20:34] for line in lines[2:]] == [
        "last, epoch 12",
        "best, epoch 7 ",
        "-             ",
    ]
