"""A line says what a stage does in vain, once, after a third of its epochs."""

import io

import pytest

from semivit_tf.training.in_vain import SayInVain


def said(epochs, logs):
    """The lines after each of the epochs."""
    stream = io.StringIO()
    advice = {"loss": "a higher rate", "kept": "a lower threshold"}
    callback = SayInVain("semi", epochs, 7, advice, stream)
    found = []
    for epoch in range(epochs):
        callback.on_epoch_end(epoch, logs)
        found.append(stream.getvalue())
    return found


@pytest.mark.parametrize(("epochs", "third"), [(9, 3), (10, 4), (1, 1)])
def test_a_loss_of_guessing_is_said(epochs, third):
    """log 7 is 1.9459."""
    found = said(epochs, {"loss": 1.94})
    assert found[: third - 1] == [""] * (third - 1)
    line = found[-1].strip()
    assert line == (
        "semi: after a third of its epochs the loss is 1.940, and guessing has 1.946. "
        "Try a higher rate"
    )
    assert set(found[third - 1 :]) == {found[-1]}  # once
    assert said(epochs, {"loss": 1.88})[-1] == ""


def test_the_labelled_loss_counts_where_there_is_one():
    assert said(3, {"loss": 9.0, "labeled_loss": 0.5, "kept": 0.2})[-1] == ""
    assert "guessing" in said(3, {"loss": 0.5, "labeled_loss": 2.0})[-1]


def test_pseudo_labels_of_which_none_counts_are_said():
    found = said(3, {"labeled_loss": 0.5, "kept": 0.001})[-1]
    assert "0.1 % of the pseudo labels count. Try a lower threshold" in found
    assert said(3, {"labeled_loss": 0.5, "kept": 0.01})[-1] == ""
