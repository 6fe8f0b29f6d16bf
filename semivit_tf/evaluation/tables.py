"""Results as small tables of text."""

from semivit_tf.evaluation.interval import in_percent


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
        results: List of dicts with `stage`, `weights`, `labels_used`, `images`,
            `accuracy` and `top5_accuracy`; where there are the best weights besides the
            last, `checkpoint` and `epoch`; and of networks of two streams, `streams`:
            their accuracies by name.
        part: String. Which images were evaluated.
    """
    streams = list(results[0].get("streams", {}))
    chosen = any(result.get("checkpoint") == "best" for result in results)
    rows = [
        (
            result["stage"],
            result["weights"],
            *([_checkpoint(result)] if chosen else []),
            "unknown" if result["labels_used"] is None else result["labels_used"],
            in_percent(result["accuracy"], result["images"]),
            in_percent(result["top5_accuracy"], result["images"]),
            *(
                in_percent(result["streams"][name], result["images"])
                for name in streams
            ),
        )
        for result in results
    ]
    which = ["checkpoint"] if chosen else []
    header = ("stage", "weights", *which, "labels used", f"{part} accuracy", "top-5")
    return text_table((*header, *streams), rows)


def _checkpoint(result):
    if result["checkpoint"] is None:
        return "-"
    return f"{result['checkpoint']}, epoch {result['epoch']}"
