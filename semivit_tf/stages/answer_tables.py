"""Tables of answers: the same rows as CSV, as JSON lines or as Parquet."""

import contextlib
import csv
import json

from semivit_tf.config.settings import InputError

_ROWS = 4096  # of a row group of Parquet


def columns_of(top_k, outputs):
    """Returns a dict of column to what it holds: text, a number, a flag or a list.

    Args:
        top_k: Integer. How many of the likeliest classes have columns.
        outputs: Names of what the model gives; it may know when to abstain, and sets.
    """
    columns = {"path": "text", "answer": "text", "probability": "number"}
    for place in range(2, top_k + 1):
        columns |= {f"class_{place}": "text", f"probability_{place}": "number"}
    if "abstain" in outputs:
        columns["abstain"] = "flag"
    if "class_set" in outputs:
        columns["class_set"] = "list"
    return {**columns, "error": "text"}


@contextlib.contextmanager
def csv_table(path, columns):
    """Gives a function that adds a row, a dict, to a table with a header.

    What is missing is empty, flags are `true` and `false`, and lists are JSON.
    """

    def as_text(value):
        return value if isinstance(value, str) else json.dumps(value)

    with open(path, "w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(columns)
        yield lambda row: writer.writerow(
            "" if row.get(name) is None else as_text(row[name]) for name in columns
        )


@contextlib.contextmanager
def json_lines(path, columns):
    """Gives a function that adds a row, a dict, as a line; what is missing is null."""
    with open(path, "w", encoding="utf-8", newline="") as file:

        def add(row):
            content = {name: row.get(name) for name in columns}
            file.write(json.dumps(content, ensure_ascii=False) + "\n")

        yield add


@contextlib.contextmanager
def parquet(path, columns):
    """Gives a function that adds a row, a dict, to a Parquet file."""
    arrow, parquet = _arrow()
    kinds = {
        "text": arrow.string(),
        "number": arrow.float64(),
        "flag": arrow.bool_(),
        "list": arrow.list_(arrow.string()),
    }
    schema = arrow.schema([(name, kinds[kind]) for name, kind in columns.items()])
    waiting = []

    def flush():
        if waiting:
            writer.write_table(arrow.Table.from_pylist(waiting, schema))
            waiting.clear()

    def add(row):
        waiting.append({name: row.get(name) for name in columns})
        if len(waiting) == _ROWS:
            flush()

    with parquet.ParquetWriter(path, schema) as writer:
        yield add
        flush()


def _arrow():
    try:
        import pyarrow
        from pyarrow import parquet
    except ImportError as error:
        raise InputError(
            "--predictions=....parquet needs the package pyarrow, which is not "
            "installed; .csv and .jsonl need nothing"
        ) from error
    return pyarrow, parquet


def table_format(path):
    """Returns the function above that writes a file with such an ending."""
    ending = path.suffix
    if ending == ".parquet":
        _arrow()
    return {".csv": csv_table, ".jsonl": json_lines, ".parquet": parquet}[ending]
