"""Which classes are taken for which: a table, or a picture where they are many."""

import numpy as np

from semivit_tf.report.plots import plot

TABLE_CLASSES = 20  # a table of more has no room
_NAMED_CLASSES = 120  # in a picture
_ROW = 0.72  # rem: names can be read, and a page scrolls where they are many
_LISTED = 12
_BLUE = (0.23, 0.49, 0.85)  # readable on white and on black


def confusion(matrix, names):
    """Returns what a page shows of a confusion matrix.

    Args:
        matrix: Integers `[K, K]`: a row for each true class.
        names: Sequence of K strings.

    Returns:
        Dict of `rows` (with few classes, for a table) or `plot`, and of `confused`: the
        pairs of classes that are mixed up most often.
    """
    matrix = np.asarray(matrix)
    total = np.maximum(matrix.sum(axis=1, keepdims=True), 1)
    shares = matrix / total
    found = {"confused": _most_confused(matrix, shares, names)}
    if len(names) <= TABLE_CLASSES:
        rows = zip(names, matrix.tolist(), shares.tolist(), strict=True)
        found["names"] = list(names)
        found["rows"] = [
            {
                "name": name,
                "cells": [
                    {"images": images, "share": share, "right": place == number}
                    for place, (images, share) in enumerate(
                        zip(counts, row, strict=True)
                    )
                ],
            }
            for number, (name, counts, row) in enumerate(rows)
        ]
    else:
        found["plot"] = _picture(shares, names)
    return found


def _most_confused(matrix, shares, names):
    mistakes = matrix.copy()
    np.fill_diagonal(mistakes, 0)
    order = np.argsort(-mistakes, axis=None, kind="stable")[:_LISTED]
    pairs = np.stack(np.unravel_index(order, matrix.shape), 1).tolist()
    return [
        {
            "truth": names[truth],
            "answer": names[answer],
            "images": int(matrix[truth, answer]),
            "share": float(shares[truth, answer]),
        }
        for truth, answer in pairs
        if mistakes[truth, answer]
    ]


def _picture(shares, names):
    def draw(axes):
        pixels = np.empty((*shares.shape, 4))
        # Opacity says how many, so that it works on any background; few are seen, too.
        pixels[..., :3], pixels[..., 3] = _BLUE, np.sqrt(shares)
        axes.imshow(pixels, interpolation="none")
        axes.set_xlabel("answer")
        axes.set_ylabel("truth")
        axes.grid(False)
        if len(names) <= _NAMED_CLASSES:
            small = {"fontsize": min(8, 580 / len(names))}
            places = np.arange(len(names))
            axes.set_xticks(places, names, rotation=90, **small)
            axes.set_yticks(places, names, **small)
            axes.tick_params(length=0)

    size = min(14.0, max(6.0, 0.13 * len(names)))
    described = (
        f"Confusion matrix of {len(names)} classes. The table below lists the classes "
        "that are mixed up most often."
    )
    least = _ROW * len(names)
    return plot(draw, described, "confusion", width=size, height=size, least=least)
