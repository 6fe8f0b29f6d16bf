"""A page as a test reads it: elements, texts, and what would make it unreadable."""

import html.parser
import re

VOID = {"meta", "link", "img", "br", "input", "hr"}


class Page(html.parser.HTMLParser):
    """Elements of a page in order: dicts of `tag`, `attributes` and `text`."""

    def __init__(self, text):
        super().__init__(convert_charrefs=True)
        self.elements, self._open = [], []
        self.feed(text)
        assert not self._open, [one["tag"] for one in self._open]

    def handle_starttag(self, tag, attributes):
        names = [name for name, _ in attributes]
        assert len(names) == len(set(names)), (tag, names)
        element = {"tag": tag, "attributes": dict(attributes), "text": ""}
        self.elements.append(element)
        if tag not in VOID:
            self._open.append(element)

    def handle_startendtag(self, tag, attributes):
        element = {"tag": tag, "attributes": dict(attributes), "text": ""}
        self.elements.append(element)

    def handle_endtag(self, tag):
        assert self._open and self._open[-1]["tag"] == tag, (tag, self.getpos())
        self._open.pop()

    def handle_data(self, text):
        for element in self._open:
            element["text"] += text

    def all(self, tag, **attributes):
        """Returns the elements with a tag that have these attributes."""
        return [
            one
            for one in self.elements
            if one["tag"] == tag and attributes.items() <= one["attributes"].items()
        ]

    def numbers(self, name):
        """Returns the values of an attribute, of all elements that have it."""
        return [
            float(one["attributes"][name])
            for one in self.elements
            if name in one["attributes"]
        ]


def check_readable(page, scripts=1):
    """Asserts what a keyboard, a screen reader and a machine without network need."""
    assert page.all("html", lang="en")
    levels = [int(one["tag"][1]) for one in page.elements if is_heading(one)]
    assert levels[0] == 1 and levels.count(1) == 1
    steps = zip(levels, levels[1:], strict=False)
    assert all(after <= before + 1 for before, after in steps), levels
    for image in page.all("img"):
        assert image["attributes"]["alt"].strip()
    for image in page.all("svg"):
        assert image["attributes"]["role"] == "img"
        assert image["attributes"]["aria-label"].strip()
    for head in page.all("th"):
        assert head["attributes"]["scope"] in ("col", "row")
    assert len(page.all("caption")) == len(page.all("table"))
    ids = [
        one["attributes"]["id"] for one in page.elements if "id" in one["attributes"]
    ]
    assert len(ids) == len(set(ids))
    for one in page.elements:
        for name in ("src", "href", "xlink:href", "action", "srcset"):
            address = one["attributes"].get(name, "#")
            assert re.match(r"#[\w-]*$|data:", address), address
            if address.startswith("#") and len(address) > 1:
                assert address[1:] in ids, address
    for one in page.all("style"):
        assert "url(" not in one["text"] and "@import" not in one["text"]
    assert not {one["tag"] for one in page.elements} & {"iframe", "object", "embed"}
    assert len(page.all("script")) == scripts


def is_heading(element):
    """Returns whether an element is a heading."""
    return re.fullmatch("h[1-6]", element["tag"]) is not None
