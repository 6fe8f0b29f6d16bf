"""Results as small tables of text."""


def text_table(header, rows):
    """Returns rows of strings as aligned columns under a header and a rule."""
    cells = [list(header), *[[str(cell) for cell in row] for row in rows]]
    widths = [max(len(row[column]) for row in cells) for column in range(len(header))]
    lines = [
        "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True))
        for row in cells
    ]
    lines.insert(1, "  ".join("-" * width for width in widths))
    return "\n".join(line.rstrip() for line in lines)


def results_table(results, part="test"):
    """Returns the table of an evaluation: stage, weights, labels used, accuracy.

    Args:
        results: List of dicts with `stage`, `weights`, `labels_used`, `accuracy` and
            `top5_accuracy`.
        part: String. Which images were evaluated.
    """
    rows = [
        (
            result["stage"],
            result["weights"],
            "unknown" if result["labels_used"] is None else result["labels_used"],
            f"{100 * result['accuracy']:.2f} %",
            f"{100 * result['top5_accuracy']:.2f} %",
        )
        for result in results
    ]
    header = ("stage", "weights", "labels used", f"{part} accuracy", "top-5")
    return text_table(header, rows)
