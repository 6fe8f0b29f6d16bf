"""How often answers of some confidence are right."""

from semivit_tf.report.plots import ACCENT, FAINT, LINES, plot


def reliability(found):
    """Returns the diagrams of bins, a list of `Markup`.

    Args:
        found: Dict of title to a dict of `bins`, each with its mean `confidence`, its
            `accuracy` and how many `images`, and of `ece`.
    """
    return [
        plot(
            lambda axes, title=title, one=one: _draw_bins(axes, title, one["bins"]),
            f"Reliability {title}: accuracy against confidence. Mean difference of the "
            f"two: {100 * one['ece']:.1f} points.",
            f"reliability-{number}",
            width=3.6,
            height=3.4,
        )
        for number, (title, one) in enumerate(found.items())
    ]


def _draw_bins(axes, title, bins):
    most = max(one["images"] for one in bins)
    axes.plot([0, 100], [0, 100], color=FAINT, linestyle=(0, (4, 3)), linewidth=1)
    axes.plot(
        [100 * one["confidence"] for one in bins],
        [100 * one["accuracy"] for one in bins],
        color=LINES[0],
    )
    axes.scatter(
        [100 * one["confidence"] for one in bins],
        [100 * one["accuracy"] for one in bins],
        s=[20 + 180 * one["images"] / most for one in bins],
        color=ACCENT,
        alpha=0.6,
        zorder=3,
    )
    axes.set(xlim=(-3, 103), ylim=(-3, 103), aspect="equal")
    axes.set_xlabel("confidence, %")
    axes.set_ylabel("accuracy, %")
    axes.set_title(title)
