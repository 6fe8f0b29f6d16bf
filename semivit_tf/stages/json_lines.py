"""Files to which a run adds a line of JSON at a time."""

import json


def json_lines(run, file, read):
    """Returns what a report takes from each line; says how many lines are damaged.

    Args:
        run: `Run`.
        file: Path.
        read: Function from what a line holds to what is taken from it. Its errors say
            that this is something else.
    """
    if not file.exists():
        return []
    found, damaged = [], 0
    for text in file.read_text("utf-8", errors="replace").splitlines():
        try:
            found.append(read(json.loads(text)))
        except (KeyError, RecursionError, TypeError, ValueError):
            damaged += 1
    if damaged:
        run.say(f"{file}: {damaged} damaged lines are left out of the report")
    return found
