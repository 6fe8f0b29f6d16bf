"""The table of pseudo labels by threshold, by hand."""

from semivit_tf.evaluation.pseudo_labels import pseudo_label_table

PROBABILITIES = [[0.9, 0.1], [0.7, 0.3], [0.2, 0.8], [0.55, 0.45]]
LABELS = [0, 1, 1, 0]


def test_what_counts_and_is_right_by_threshold_and_class():
    rows = pseudo_label_table(LABELS, PROBABILITIES, ("cat", "dog"), (0.0, 0.7, 0.95))
    assert rows[0] == {
        "threshold": 0.0,
        "coverage": 1.0,
        "precision": 0.75,
        "classes": [
            {"name": "cat", "images": 3, "precision": 2 / 3},
            {"name": "dog", "images": 1, "precision": 1.0},
        ],
    }
    assert (rows[1]["coverage"], rows[1]["precision"]) == (0.75, 2 / 3)
    assert [c["images"] for c in rows[1]["classes"]] == [2, 1]
    assert (rows[2]["coverage"], rows[2]["precision"]) == (0.0, None)
