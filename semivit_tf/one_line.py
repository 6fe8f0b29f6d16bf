"""Text of others, such as names of files and classes, as it may be shown in a line."""

import unicodedata

# Control characters, halves of characters, and separators of lines and paragraphs.
_UNSHOWN = ("Cc", "Cs", "Zl", "Zp")
_TURN_AROUND = "\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069"


def _shown(character):
    kind = unicodedata.category(character)
    return kind not in _UNSHOWN and character not in _TURN_AROUND


def one_line(text):
    """Returns a text with escapes for what would break its line or steer a terminal."""
    return "".join(
        character
        if _shown(character)
        else character.encode("unicode_escape").decode("ascii")
        for character in str(text)
    )


def check_names(names):
    """Refuses names that cannot be listed one a line."""
    bad = [one_line(name) for name in names if one_line(name) != name]
    if bad:
        raise ValueError(
            "Names of classes should be one line each, without control characters. "
            f"Received: {', '.join(bad[:5])}"
        )
