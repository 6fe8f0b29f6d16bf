"""How accurate each network is, and how sure that is."""

from semivit_tf.report.plots import ACCENT, INK, LINES, plot


def intervals(results, part):
    """Draws the accuracy of each network with its interval.

    Args:
        results: List of rows of an evaluation.
        part: String: which images were tested.
    """
    titles = [title_of(row) for row in results]

    def draw(axes):
        for place, row in enumerate(results):
            low, high = (100 * end for end in row["accuracy_interval"])
            color = ACCENT if row.get("exported") else LINES[0]
            axes.plot([low, high], [place, place], color=color, linewidth=3, alpha=0.5)
            axes.plot(100 * row["accuracy"], place, "o", color=color)
        axes.set_yticks(range(len(results)), titles, color=INK)
        axes.set_ylim(len(results) - 0.5, -0.5)
        axes.set_xlabel("accuracy, %")
        axes.grid(axis="y", visible=False)

    said = [
        f"{title} {100 * row['accuracy']:.1f} %"
        for title, row in zip(titles, results, strict=True)
    ]
    height = 0.9 + 0.3 * len(results)
    described = f"Accuracies on {part} images: {', '.join(said)}."
    return plot(draw, described, "intervals", 5.6, height)


def title_of(row):
    """Returns what a row of an evaluation is called."""
    title = f"{row['stage']} {row['weights']}"
    if row.get("checkpoint") == "best":
        title += f", best (epoch {row['epoch']})"
    return title
