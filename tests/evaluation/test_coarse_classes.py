"""Coarse classes against a count by hand."""

import numpy as np
import pytest

from semivit_tf.evaluation.coarse_classes import coarse_accuracy, read_coarse_classes


def test_a_confusion_within_a_coarse_class_is_right():
    confusion = np.array([[3, 1, 0], [0, 2, 1], [1, 0, 2]])
    # Off the diagonal, the one lime that is called a lemon counts.
    assert coarse_accuracy(confusion, ["citrus", "citrus", "root"]) == 8 / 10
    assert coarse_accuracy(confusion, ["a", "b", "c"]) == 7 / 10
    assert coarse_accuracy(confusion, ["a", "a", "a"]) == 1


def test_a_table_is_read_in_the_order_of_the_classes(tmp_path):
    path = tmp_path / "coarse.csv"
    path.write_text("\ufeffcoarse,class\nroot,beet\ncitrus,lime\ncitrus,lemon\n")
    found = read_coarse_classes(path, ["lemon", "beet"])
    assert list(found.items()) == [("lemon", "citrus"), ("beet", "root")]
    with pytest.raises(ValueError, match="for each of 2 classes. Missing: kiwi"):
        read_coarse_classes(path, ["lemon", "kiwi"])
    path.write_text("name,kind\n")
    with pytest.raises(ValueError, match="columns class and coarse. Received: name"):
        read_coarse_classes(path, ["lemon"])
