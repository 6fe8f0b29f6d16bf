"""The style of pages: what is printed."""

import importlib.resources
import re

STYLE = importlib.resources.files("semivit_tf.report") / "page" / "style.css"
RULE = re.compile(r"(@media [^{]*)\{|([^{}]+)\{([^{}]*)\}|(\})")


def declarations(text):
    """Yields `(media, selector, property)` in order."""
    media = None
    for opened, selectors, body, closed in RULE.findall(text):
        if opened or closed:
            media = opened.strip() or None
        for selector in filter(None, map(str.strip, selectors.split(","))):
            for declaration in filter(None, map(str.strip, body.split(";"))):
                yield media, selector, declaration.split(":")[0]


def test_no_later_rule_takes_back_what_is_printed():
    """Of two rules for the same elements, the later one holds, whatever its medium."""
    found = list(declarations(STYLE.read_text(encoding="utf-8")))
    printed = [n for n, (media, *_) in enumerate(found) if media == "@media print"]
    rules = {found[n][1:] for n in printed}
    assert {(".scroll", "overflow"), ("body", "font-size"), ("nav", "display")} < rules
    shorthands = {"overflow-x": "overflow", "font": "font-size"}
    for number in printed:
        _, selector, name = found[number]
        later = [f for f in found[number + 1 :] if f[0] is None and f[1] == selector]
        assert name not in {shorthands.get(other, other) for *_, other in later}
