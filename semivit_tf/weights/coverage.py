"""What was loaded from a file into a model, weight by weight."""

import dataclasses


@dataclasses.dataclass(frozen=True)
class Coverage:
    """A report of what was loaded from a published file.

    Attributes:
        path: The file.
        source: Which network of the file, such as `model_ema`, or `the whole file`; or
            those of a student and a teacher.
        loaded: Dict from a weight of the model to the names in the file it came from.
        resized: Dict from the resized weights among them to the shapes `(from, to)`.
        dropped: Dict from a name in the file to the reason why it was left out.
        fresh: Dict from a weight of the model to the reason why it keeps its value.
        missing: Weights of the model that need a value and got none.
        unexpected: Names in the file that no rule knows.
    """

    path: str
    source: str
    loaded: dict
    resized: dict
    dropped: dict
    fresh: dict
    missing: tuple
    unexpected: tuple

    def describe(self):
        """Returns a few lines for a person."""
        lines = [f"{len(self.loaded)} weights loaded from {self.path} ({self.source})"]
        for name, (before, after) in self.resized.items():
            lines.append(f"resized: {name} from {before} to {after}")
        for title, reasons in (("left out", self.dropped), ("as new", self.fresh)):
            for reason in dict.fromkeys(reasons.values()):
                names = [name for name in reasons if reasons[name] == reason]
                lines.append(f"{title}: {few(names)}: {reason}")
        for title in ("missing", "unexpected"):
            if getattr(self, title):
                lines.append(f"{title}: {few(getattr(self, title))}")
        return "\n".join(printable(line) for line in lines)


def printable(text):
    """Returns a text with its control characters escaped, as names may hold any."""
    return "".join(
        sign if sign.isprintable() else sign.encode("unicode_escape").decode("ascii")
        for sign in text
    )


def few(names, most=3):
    """Returns the first names, shortened, and the number of the others in one line."""
    names = list(names)
    shown = ", ".join(
        name if len(name) <= 60 else f"{name[:60]}..." for name in names[:most]
    )
    return shown if len(names) <= most else f"{shown} and {len(names) - most} more"
