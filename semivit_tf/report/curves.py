"""Curves of a stage: losses, accuracies and pseudo labels, epoch by epoch."""

import math

from semivit_tf.report.plots import lines, plot

_PSEUDO = {
    "kept": "kept",
    "pseudo_label_precision": "right, of those kept",
    "pseudo_label_accuracy": "right, of all",
    "val_pseudo_label_coverage": "kept on validation",
    "val_pseudo_label_precision": "right of those, on validation",
}
_SPREAD = {"pseudo_label_classes": "as many as if equally often"}
_MOST = 400  # points of a line


def curves_of(stage, epochs):
    """Returns the plots of a stage, a list of `Markup`.

    Args:
        stage: String.
        epochs: List of dicts of name to value, as in `metrics.jsonl`.
    """
    titles = {
        "Loss": _losses(epochs),
        "Accuracy, %": _accuracies(epochs),
        "Pseudo labels, %": _chosen(epochs, _PSEUDO),
        "Classes of pseudo labels": _chosen(epochs, _SPREAD),
    }
    return [
        _plot(f"{stage}-{number}", stage, title, found)
        for number, (title, found) in enumerate(titles.items())
        if found
    ]


def _plot(name, stage, title, found):
    percent = title.endswith("%")
    ends = [f"{line} {_ends(values, percent)}" for line, (_, values) in found.items()]
    return plot(
        lambda axes: lines(axes, found, title, percent),
        f"{title} of {stage} over the epochs: {'; '.join(ends)}.",
        name,
        width=4.0,
        height=2.5,
    )


def _ends(values, percent):
    if percent:
        return f"from {100 * values[0]:.1f} % to {100 * values[-1]:.1f} %"
    return f"from {values[0]:.3g} to {values[-1]:.3g}"


def _losses(epochs):
    names = [name for name in _names(epochs) if "loss" in name]
    # That of the network that answers has this name, too.
    names = [n for n in names if n == "val_loss" or not n.startswith("val_")]
    return _chosen(epochs, {name: _in_words(name) for name in names})


def _accuracies(epochs):
    names = [
        name
        for name in _names(epochs)
        if name.endswith("accuracy") and "top5" not in name and name not in _PSEUDO
    ]
    return _chosen(epochs, {name: _in_words(name) for name in names})


def _names(epochs):
    return dict.fromkeys(name for line in epochs for name in line)


def _in_words(name):
    validation = name.startswith("val_")
    words = name.removeprefix("val_").replace("knn", "neighbour").replace("_", " ")
    words = words.replace("unlabeled", "unlabelled").replace("labeled", "labelled")
    return f"{words}, validation" if validation else words


def _chosen(epochs, names):
    """Returns the lines of some names: a dict of title to `(epochs, values)`."""
    found = {}
    for name, title in names.items():
        points = [
            (line["epoch"], line[name])
            for line in epochs
            if isinstance(line.get(name), (int, float)) and math.isfinite(line[name])
        ]
        if points:
            every = max(1, len(points) // _MOST)
            kept = [*points[::every], points[-1]] if every > 1 else points
            found[title] = tuple(map(list, zip(*kept, strict=True)))
    return found
