"""The plot of a sweep: readable anywhere, whatever names are in it."""

import re
import xml.etree.ElementTree

import pytest

from semivit_tf.report.accuracy_over_labels import COLORS, GREY, draw_accuracies

LINES = [
    ("ViT", [(4, 0.25, 0.03), (8, 0.5, 0.02)]),
    ("a $ & <b> $", [(4, 0.5, 0.0)]),
]
WHITE, DARK = "#ffffff", "#0d1117"


def luminance(color):
    """As WCAG defines it."""
    parts = [int(color[start : start + 2], 16) / 255 for start in (1, 3, 5)]
    linear = [
        p / 12.92 if p <= 0.03928 else ((p + 0.055) / 1.055) ** 2.4 for p in parts
    ]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


def contrast(one, other):
    low, high = sorted((luminance(one), luminance(other)))
    return (high + 0.05) / (low + 0.05)


@pytest.mark.parametrize("color", [*COLORS, GREY])
def test_colors_can_be_seen_in_light_and_dark(color):
    assert contrast(WHITE, DARK) > 18
    assert contrast(color, WHITE) >= 3.9 and contrast(color, DARK) >= 3.9


def test_lines_text_and_bars_are_drawn_as_svg(tmp_path):
    draw_accuracies(LINES, tmp_path / "one.svg")
    text = (tmp_path / "one.svg").read_text(encoding="utf-8")
    root = xml.etree.ElementTree.fromstring(text)
    shown = [part.text for part in root.iter() if part.tag.endswith("}text")]
    assert {"ViT", "a $ & <b> $", "4", "8", "labels a class"} <= set(shown)
    assert "<b>" not in text and "<script" not in text
    used = set(re.findall(r"#[0-9a-f]{6}", text))
    assert {*COLORS[:2], GREY} <= used and COLORS[2] not in used
    # No background, and equal results give equal files.
    assert WHITE not in used
    draw_accuracies(LINES, tmp_path / "two.svg")
    assert (tmp_path / "two.svg").read_text(encoding="utf-8") == text


def test_points_lie_where_they_should(tmp_path):
    """Twice as high above the axis; 8 as far from 4 as 4 from 2."""
    points = [(2, 0.2, 0.0), (4, 0.4, 0.0), (8, 0.8, 0.0)]
    draw_accuracies([("one", points)], tmp_path / "plot.svg")
    text = (tmp_path / "plot.svg").read_text(encoding="utf-8")
    paths = re.findall(rf'<path d="([^"]*)"[^>]*stroke: {COLORS[0]}', text)
    (line,) = [path for path in paths if path.count("L") == 2]
    numbers = [float(word) for word in re.findall(r"[\d.]+", line)]
    x, y = numbers[::2], numbers[1::2]
    assert x[2] - x[1] == pytest.approx(x[1] - x[0], rel=1e-3) and x[0] < x[1]
    # Down is larger in SVG.
    assert y[1] - y[2] == pytest.approx(2 * (y[0] - y[1]), rel=1e-3) and y[2] < y[1]
