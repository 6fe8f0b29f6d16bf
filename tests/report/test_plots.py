"""Plots are text, numbers and the page's colours."""

import re

import numpy as np

from semivit_tf.report.balance import balance
from semivit_tf.report.confusion import confusion
from semivit_tf.report.curves import curves_of
from semivit_tf.report.plots import _COLORS, lines, plot
from semivit_tf.report.reliability import reliability
from tests.report.html import Page

AWKWARD = '<b>"$x$" & \'ß 猫</b>'


def test_a_plot_is_the_same_every_time_and_takes_the_colours_of_the_page():
    def draw(axes):
        lines(axes, {"one": ([1, 2], [0.1, 0.4]), "two": ([1, 2], [0.2, 0.9])}, "t")

    drawn = [plot(draw, "two lines", "here") for _ in range(2)]
    assert drawn[0] == drawn[1]
    assert not [color for color in _COLORS if color in drawn[0]]
    assert "var(--line0)" in drawn[0] and "var(--line1)" in drawn[0]
    assert "var(--ink)" in drawn[0] and "DejaVu" not in drawn[0]
    ids = re.findall(r'id="([^"]*)"', drawn[0])
    assert ids and all(one.startswith("here-") for one in ids)
    (svg,) = Page(drawn[0]).all("svg")
    assert svg["attributes"]["aria-label"] == "two lines"


def test_names_in_a_plot_are_text():
    classes = [{"class": name, "labeled": 2} for name in (AWKWARD, "b")]
    page = Page(balance(classes, ["labeled"]))
    assert not page.all("b")
    assert AWKWARD in "".join(t["text"] for t in page.all("text"))
    assert AWKWARD in page.all("svg")[0]["attributes"]["aria-label"]


def test_a_diagram_says_its_error():
    bins = [{"confidence": 0.65, "accuracy": 0.5, "images": 2}]
    (drawn,) = reliability({"as learned": {"bins": bins, "ece": 0.08}})
    assert "Mean difference of the two: 8.0 points" in drawn


def test_few_classes_are_a_table_and_many_a_picture():
    matrix = [[8, 2, 0], [0, 5, 0], [3, 0, 1]]
    found = confusion(matrix, ["a", AWKWARD, "c"])
    assert "plot" not in found
    cells = [[cell["images"] for cell in row["cells"]] for row in found["rows"]]
    assert cells == matrix
    assert found["rows"][2]["cells"][0]["share"] == 0.75
    assert found["confused"] == [
        {"truth": "c", "answer": "a", "images": 3, "share": 0.75},
        {"truth": "a", "answer": AWKWARD, "images": 2, "share": 0.2},
    ]
    names = [f"class {number}" for number in range(100)]
    found = confusion(np.diag(np.arange(100)), names)
    assert "rows" not in found and found["confused"] == []
    page = Page(found["plot"])
    assert len(found["plot"]) < 100_000
    texts = [one["text"] for one in page.all("text")]
    assert all(texts.count(name) == 2 for name in names)  # of rows and of columns
    # Letters of 7 pixels at least, on the narrowest screen.
    (drawn,) = page.all("svg")
    least = re.search(r"min-width: ([\d.]+)rem", drawn["attributes"]["style"])
    height = re.search(r"([\d.]+)px", page.all("text")[0]["attributes"]["style"])
    shown = 16 * float(least[1]) / float(drawn["attributes"]["viewbox"].split()[2])
    assert shown * float(height[1]) > 7


def test_curves_have_what_was_logged():
    epochs = [
        {"epoch": 1, "loss": 2.0, "unlabeled_loss": 3.0, "kept": 0.25},
        {"epoch": 2, "loss": 1.0, "unlabeled_loss": float("nan"), "kept": 0.5},
        {"epoch": 3, "loss": 0.5, "val_teacher_accuracy": 0.75, "kept": 1.0},
    ]
    drawn = curves_of("third", epochs)
    said = [Page(one).all("svg")[0]["attributes"]["aria-label"] for one in drawn]
    assert said[0].startswith("Loss of third over the epochs: loss from 2 to 0.5;")
    assert "unlabelled loss from 3 to 3" in said[0]
    assert "teacher accuracy, validation from 75.0 % to 75.0 %" in said[1]
    assert "kept from 25.0 % to 100.0 %" in said[2]
    assert curves_of("none", []) == []
