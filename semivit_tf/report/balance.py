"""How many images each class has."""

from semivit_tf.report.plots import LINES, plot

_PARTS = {"labeled": "labelled", "unlabeled": "unlabelled"}
_DRAWN = 40  # classes


def balance(classes, parts):
    """Draws how many images there are of each class, stacked by part.

    Args:
        classes: List of dicts of `class` and a count for each part.
        parts: Sequence of names of parts.

    Returns:
        `Markup`, or None where there are too many classes for bars.
    """
    if not 1 < len(classes) <= _DRAWN:
        return None
    names = [row["class"] for row in classes]

    def draw(axes):
        below = [0] * len(classes)
        for number, part in enumerate(parts):
            counts = [row[part] for row in classes]
            if any(counts):
                label = _PARTS.get(part, part)
                color = LINES[number % len(LINES)]
                axes.bar(range(len(names)), counts, bottom=below, color=color)
                axes.bar([0], [0], color=color, label=label)
                below = [one + more for one, more in zip(below, counts, strict=True)]
        long = max(map(len, names)) * len(names) > 80
        turned = {"rotation": 40, "ha": "right"} if long else {}
        shown = [name if len(name) < 24 else f"{name[:22]}…" for name in names]
        axes.set_xticks(range(len(names)), shown, **turned)
        axes.set_ylabel("images")
        axes.grid(axis="x", visible=False)
        axes.legend(ncols=len(parts), loc="lower left", bbox_to_anchor=(0, 1))

    counted = [f"{row['class']} {sum(row[part] for part in parts)}" for row in classes]
    described = f"Images of each class: {', '.join(counted)}."
    return plot(draw, described, "balance", width=6.0, height=2.6)
