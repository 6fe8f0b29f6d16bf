"""The plot of a sweep: accuracy over labels a class, one line for each way."""

import pathlib

from semivit_tf.whole_file import open_whole

# Colours and marks of lines, told apart also by people who do not see all colours, and
# of the axes; all can be seen on white and on nearly black.
COLORS = ("#2a7fc9", "#c9600a", "#128a63", "#b04fa8", "#a1770b", "#6f74c4", "#8a6d5c")
GREY = "#7b7f85"
_MARKS = "osD^vPX"
_STYLES = ("-", "--", "-.")
_STYLE = {
    "svg.fonttype": "none",  # text stays text
    "svg.hashsalt": "semivit_tf",  # equal results give equal files
    "font.size": 10,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "text.color": GREY,
    **{f"axes.{part}": GREY for part in ("edgecolor", "labelcolor")},
    **{f"{axis}tick.color": GREY for axis in "xy"},
}


def draw_accuracies(lines, path, ylabel="accuracy, %"):
    """Draws mean and standard deviation over seeds, as SVG on no background.

    Args:
        lines: Sequence of `(title, points)`. A point is `(labels, mean, deviation)`;
            mean and deviation are shares.
        path: File to write.
        ylabel: String.
    """
    import matplotlib
    from matplotlib.figure import Figure
    from matplotlib.ticker import FixedLocator, NullLocator, StrMethodFormatter

    with matplotlib.rc_context(_STYLE):
        figure = Figure((7.2, 4.2), layout="constrained")
        axes = figure.subplots()
        axes.set_xscale("log", base=2)
        for number, (title, points) in enumerate(lines):
            labels, means, deviations = zip(*points, strict=True)
            shift = 1 + 0.012 * (number - (len(lines) - 1) / 2)  # bars side by side
            axes.errorbar(
                [shift * label for label in labels],
                [100 * mean for mean in means],
                [100 * deviation for deviation in deviations],
                label=_plain(title),
                color=COLORS[number % len(COLORS)],
                marker=_MARKS[number % len(_MARKS)],
                linestyle=_STYLES[number % len(_STYLES)],
                markersize=5,
                capsize=3,
            )
        ticks = sorted({label for _, points in lines for label, _, _ in points})
        axes.xaxis.set_major_locator(FixedLocator(ticks))
        axes.xaxis.set_minor_locator(NullLocator())
        axes.xaxis.set_major_formatter(StrMethodFormatter("{x:.0f}"))
        axes.set_xlabel("labels a class")
        axes.set_ylabel(ylabel)
        axes.grid(axis="y", color=GREY, alpha=0.25)
        if lines:
            figure.legend(loc="outside right upper", frameon=False)
        with open_whole(pathlib.Path(path)) as file:
            figure.savefig(
                file, format="svg", transparent=True, metadata={"Date": None}
            )


def _plain(text):
    """Returns a text of which nothing is read as mathematics."""
    return str(text).replace("$", r"\$")
