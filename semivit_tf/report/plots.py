"""Plots as SVG inside of a page, in the page's font and colours, light or dark."""

import io
import re
import warnings

import matplotlib
from markupsafe import Markup, escape
from matplotlib.backends.backend_svg import FigureCanvasSVG
from matplotlib.figure import Figure

# Stand-ins that no plot has by chance; the page's own colours take their places.
INK, FAINT, ACCENT, PAPER = "#010203", "#040506", "#070809", "#1c1d1e"
LINES = ("#0a0b0c", "#0d0e0f", "#101112", "#131415", "#161718", "#191a1b")
_COLORS = {INK: "--ink", FAINT: "--faint", ACCENT: "--accent", PAPER: "--paper"} | {
    color: f"--line{number}" for number, color in enumerate(LINES)
}
# Lines differ in more than their colours.
DASHES = ("-", (0, (5, 2)), (0, (1, 1.5)), (0, (6, 2, 1, 2)), "-", (0, (3, 1)))
_STYLE = {
    "svg.fonttype": "none",  # text stays text: small, and read aloud
    "svg.hashsalt": "semivit_tf",  # the same plot has the same bytes
    "text.parse_math": False,  # a class may be called $x$
    "font.family": "sans-serif",
    "font.size": 10,
    "text.color": INK,
    "axes.edgecolor": FAINT,
    "axes.labelcolor": INK,
    "axes.titlecolor": INK,
    "axes.titlesize": 10,
    "axes.titlelocation": "left",
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.facecolor": "none",
    "axes.grid": True,
    "grid.color": FAINT,
    "grid.alpha": 0.35,
    "grid.linewidth": 0.6,
    "xtick.color": INK,
    "ytick.color": INK,
    "figure.facecolor": "none",
    "legend.facecolor": PAPER,
    "legend.edgecolor": "none",
    "legend.framealpha": 0.8,
    "legend.fontsize": 9,
    "lines.linewidth": 1.6,
}
_REM = 7.5  # of a page for an inch: then its letters are as large as those around it
_FONT = re.compile(r"font-family: [^;\"]*;? ?")  # that of the page is inherited


def plot(draw, description, name, width=6.4, height=2.6, least=0.0):
    """Draws a plot; returns it as `Markup`.

    Args:
        draw: Function that is given the axes.
        description: String: what a person who does not see the plot should know.
        name: String, unique in the page.
        width: Float. Inches of paper; in a page, larger, where there is room.
        height: Float.
        least: Float. Widths of a letter that it takes on a screen at least, where it
            can be scrolled.
    """
    with matplotlib.rc_context(_STYLE), warnings.catch_warnings():
        # The browser has glyphs that the fonts here lack.
        warnings.filterwarnings("ignore", message="Glyph .* missing")
        figure = Figure(figsize=(width, height), layout="constrained")
        FigureCanvasSVG(figure)
        draw(figure.subplots())
        written = io.StringIO()
        figure.savefig(written, format="svg", metadata={"Date": None})
    return _for_page(written.getvalue(), description, name, (least, width * _REM))


def _for_page(svg, description, name, widths):
    """Returns an SVG file as an element of a page; what is in it is escaped already.

    Args:
        svg: String.
        description: See `plot`.
        name: See `plot`.
        widths: Pair of floats: the least and the largest width, in rem.
    """
    svg = svg[svg.index("<svg") :]
    svg = re.sub(r"<metadata>.*?</metadata>", "", svg, flags=re.S)
    svg = re.sub(r"<style.*?</style>", "", svg, flags=re.S)
    svg = re.sub(r'\bid="', f'id="{name}-', svg)
    svg = re.sub(r'(href="|url\()#', rf"\1#{name}-", svg)
    svg = _FONT.sub("", svg)
    for color, variable in _COLORS.items():
        svg = svg.replace(color, f"var({variable})")
    box = re.search(r'viewBox="[^"]*"', svg)[0]
    body = svg[svg.index(">") + 1 :].replace("\n", "")
    least, most = widths
    style = f"max-width: {most:g}rem" + (f"; min-width: {least:g}rem" if least else "")
    wide = f'style="{style}"'
    head = (
        f'<svg {box} role="img" aria-label="{escape(description)}" {wide} class="plot">'
    )
    return Markup(head + re.sub(r"> +<", "><", body))


def lines(axes, found, title, percent=False):
    """Draws named lines with a legend.

    Args:
        axes: Those of a plot.
        found: Dict of name to a pair of lists, `x` and `y`.
        title: String.
        percent: Bool. Whether `y` are shares, from 0 to 1.
    """
    for number, (name, (x, y)) in enumerate(found.items()):
        kind = number % len(LINES)
        marker = "o" if len(x) < 3 else None
        axes.plot(
            x,
            [100 * value for value in y] if percent else y,
            color=LINES[kind],
            linestyle=DASHES[kind],
            marker=marker,
            label=name,
        )
    axes.set_title(title)
    axes.set_xlabel("epoch")
    axes.xaxis.get_major_locator().set_params(integer=True)
    if percent:
        axes.set_ylim(-2, 102)
    if found:
        axes.legend()
