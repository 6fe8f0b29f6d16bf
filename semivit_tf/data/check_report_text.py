"""The report on a set of images in plain text."""

import collections

from semivit_tf.data.check_report import PARTS
from semivit_tf.one_line import one_line

SHOWN = 20  # names of each kind, classes, and groups
# Prose is British; names of parts in files and flags are not.
_IN_PROSE = {"labeled": "labelled", "unlabeled": "unlabelled"}


def describe(report):
    """Returns a report in plain text; long lists are cut.

    Args:
        report: Dict of `check_report`.
    """
    sections = [
        _describe_counts(report),
        _listing(
            "Test or validation images that are in training, pixel for pixel",
            report["exact_in_training"],
            lambda match: _match_line(match, "="),
        ),
        _listing(
            "Test or validation images that seem to be in training in another size, "
            "format or quality",
            report["near_in_training"],
            lambda match: _match_line(match, "~"),
        ),
        _listing("Images that cannot be read", report["unreadable"], _unreadable_line),
        _describe_groups("exact duplicates", report["exact_duplicates"], "="),
        _describe_groups("near-duplicates", report["near_duplicates"], "~"),
        _describe_turned(report["turned"]),
    ]
    return "\n\n".join(section for section in sections if section) + "\n"


def _listing(title, entries, line, heads=()):
    if not entries:
        return ""
    lines = [f"{title} ({len(entries):,}):"]
    lines += [f"  {row}" for row in (*heads, *map(line, entries[:SHOWN]))]
    if len(entries) > SHOWN:
        lines.append(f"  ... and {len(entries) - SHOWN:,} more; all in check.json")
    return "\n".join(lines)


def _part(part):
    return _IN_PROSE.get(part, part)


def _image(image):
    known = f", {one_line(image['class'])}" if image["class"] is not None else ""
    return f"{one_line(image['name'])} ({_part(image['part'])}{known})"


def _match_line(match, sign):
    training = match["training"]
    differ = None not in (match["class"], training["class"]) and (
        match["class"] != training["class"]
    )
    return f"{_image(match)} {sign} {_image(training)}" + differ * ", labels differ"


def _unreadable_line(image):
    return f"{one_line(image['name'])} ({_part(image['part'])}): {image['reason']}"


def _group_line(group, sign):
    shown = [_image(image) for image in group["images"][:3]]
    if len(group["images"]) > 3:
        shown.append(f"{len(group['images']) - 3:,} more")
    return f" {sign} ".join(shown) + group["labels_differ"] * ", labels differ"


def _describe_groups(kind, groups, sign):
    if not groups:
        return f"No {kind}."
    crossing = collections.Counter(
        " + ".join(map(_part, group["parts"]))
        for group in groups
        if len(group["parts"]) > 1
    )
    images = sum(len(group["images"]) for group in groups)
    differ = sum(group["labels_differ"] for group in groups)
    title = f"Groups of {kind}, {images:,} images"
    title += "".join(f"; {count:,} in {parts}" for parts, count in crossing.items())
    title += f"; labels differ in {differ:,}" if differ else ""
    # Those that tell most come first.
    ordered = sorted(groups, key=lambda g: (-g["labels_differ"], -len(g["parts"])))
    return _listing(title, ordered, lambda group: _group_line(group, sign))


def _describe_turned(turned):
    if not turned:
        return ""
    kinds = ", ".join(f"{count:,} of orientation {k}" for k, count in turned.items())
    return f"EXIF orientations, which training ignores: {kinds}."


def _describe_counts(report):
    parts = [p for p in PARTS if report["parts"][p]]
    counts = ", ".join(f"{report['parts'][part]:,} {_part(part)}" for part in parts)
    lines = [f"{report['images']:,} images: {counts or 'none'}."]
    lines += _size_lines(report["sizes"])
    for part, imbalance in report["imbalance"].items():
        if imbalance:
            kind = _part(part).capitalize()
            lines.append(f"{kind} images a class: {_uneven(imbalance)}.")
    without = {p: n for p, n in report["without_label"].items() if n}
    if without:
        known = ", ".join(f"{n:,} {_part(part)}" for part, n in without.items())
        lines.append(f"Without a label: {known}.")
    return "\n".join(lines) + "\n\n" + _class_table(report["classes"], parts)


def _size_lines(sizes):
    if sizes is None:
        return []
    often = sizes["commonest"]
    often = f"{often['height']} x {often['width']}", often["share"]
    if sizes["distinct"] == 1:
        return [f"All that can be read are {often[0]} pixels."]
    return [
        *(
            f"{side.capitalize()} {sizes[side]['smallest']} to "
            f"{sizes[side]['largest']}, median {sizes[side]['median']:g}."
            for side in ("height", "width")
        ),
        f"{sizes['distinct']:,} sizes ({sizes['distinct_share']:.1%} of images), "
        f"most often {often[0]} ({often[1]:.1%}).",
    ]


def _class_table(classes, parts):
    width = max([20, *(len(one_line(row["class"])) for row in classes[:SHOWN])])

    def line(row):
        counts = "".join(f"{row[part]:>12,}" for part in parts)
        return f"{one_line(row['class']):<{width}}{counts}"

    heads = "".join(f"{_part(part):>12}" for part in parts)
    return _listing("Classes", classes, line, [" " * width + heads])


def _uneven(imbalance):
    most, least = (
        f"{end['images']:,} of {one_line(end['class'])}"
        for end in (imbalance["largest"], imbalance["smallest"])
    )
    ratio = imbalance["ratio"]
    if ratio == 1:
        return f"{imbalance['largest']['images']:,} of each"
    return f"{most} to {least}" + (f", {ratio:.3g} to 1" if ratio is not None else "")
