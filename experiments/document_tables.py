"""Write the tables of README.md and docs/ from the results of the experiments.

    python experiments/document_tables.py            # or: make results
    python experiments/document_tables.py --check    # only say what is out of date

A document asks for a table with two comments, each on a line of its own:

    <!-- table: digits_40_labels -->
    <!-- end -->

Between them goes the table of experiments/results/digits_40_labels.json, which the
function `table` of the script of that name makes, and the command that measured it.
"""

import argparse
import functools
import json
import os
import pathlib
import re
import runpy
import sys

ROOT = pathlib.Path(__file__).resolve().parents[1]
EXPERIMENTS = ROOT / "experiments"
RESULTS = EXPERIMENTS / "results"
SCRIPTS = (EXPERIMENTS, EXPERIMENTS / "benchmarks")
START, END = "<!-- table: ", "<!-- end -->"
PLACE = re.compile(rf"^{START}(\S+) -->\n(?:(?!<!-- ).*\n)*{END}$", re.MULTILINE)


class DocumentError(ValueError):
    """A document asks for a table in a way that cannot be answered."""


def documents(root=ROOT):
    """Returns the paths of the documents that may show tables."""
    return [root / "README.md", *sorted((root / "docs").glob("*.md"))]


def scripts():
    """Returns a dict of the name of each result to the script that made it."""
    names = sorted(path.stem for path in RESULTS.glob("*.json"))
    paths = [folder / f"{name}.py" for name in names for folder in SCRIPTS]
    return {path.stem: path for path in paths if path.exists()}


@functools.cache
def measured(name):
    """Returns the table of a result, as Markdown, and the command that made it."""
    path = sys.path[:]
    sys.path[:0] = map(str, SCRIPTS)
    try:
        script = runpy.run_path(str(scripts()[name]))
    finally:
        sys.path[:] = path
    result = json.loads((RESULTS / f"{name}.json").read_text(encoding="utf-8"))
    return script["table"](result), result["command"]


def tables_asked_for(text):
    """Returns the names of the tables that a document asks for."""
    return PLACE.findall(text)


def with_tables(document, text):
    """Returns the text of a document with its tables as the results are now.

    Args:
        document: Path, which links are relative to.
        text: String.
    """
    known, asked = scripts(), tables_asked_for(text)
    starts, ends = text.count(START), text.count(END)
    if not len(asked) == starts == ends:
        raise DocumentError(
            f"{document.name}: each `{START}NAME -->` should be followed by `{END}`, "
            f"both on lines of their own. Received: {starts} and {ends}, "
            f"{len(asked)} of them in pairs"
        )
    for name in asked:
        if name not in known:
            raise DocumentError(
                f"{document.name}: a table should be one of: {', '.join(known)}. "
                f"Received: {name}"
            )

    def place(match):
        name = match[1]
        table, command = measured(name)
        data = os.path.relpath(RESULTS / f"{name}.json", document.parent)
        source = f"Measured by `{command}` ([{name}.json]({data}))."
        return f"{START}{name} -->\n\n{table}\n\n{source}\n\n{END}"

    return PLACE.sub(place, text)


def main():
    """Writes the tables, or says which documents are out of date."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--check", action="store_true", help="change nothing")
    check = parser.parse_args().check
    stale = []
    for document in documents():
        before = document.read_text(encoding="utf-8")
        try:
            after = with_tables(document, before)
        except DocumentError as error:
            raise SystemExit(f"document_tables.py: {error}") from None
        if after != before:
            stale.append(str(document.relative_to(ROOT)))
            if not check:
                document.write_text(after, encoding="utf-8")
    if check and stale:
        raise SystemExit(f"Out of date: {', '.join(stale)}. To write: make results")
    print(f"Written: {', '.join(stale)}" if stale else "All tables are up to date.")


if __name__ == "__main__":
    main()
