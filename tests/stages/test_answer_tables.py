"""All formats of a table hold the same."""

import csv
import json
import sys

import pytest

from semivit_tf.config.settings import InputError
from semivit_tf.stages.answer_tables import columns_of, table_format

COLUMNS = columns_of(2, {"probabilities", "abstain", "class_set"})
ROWS = [
    {
        "path": 'new\nline, "quoted" été 雪.png',
        "answer": "cat",
        "probability": 0.731059,
        "class_2": '<b>"dog"</b>, big',
        "probability_2": 0.268941,
        "abstain": True,
        "class_set": ["cat", '<b>"dog"</b>, big'],
    },
    {"path": "\u2028\\xff.png", "error": "truncated PNG"},
    {"path": "=1+1.png", "answer": "cat", "probability": 1.0, "abstain": False}
    | {"class_2": "dog", "probability_2": 0.0, "class_set": []},
]


def written(path):
    with table_format(path)(path, COLUMNS) as add:
        for row in ROWS:
            add(row)
    return path


def test_columns_are_those_that_the_model_can_fill():
    assert list(columns_of(1, {"probabilities"})) == [
        *("path", "answer", "probability", "error")
    ]
    assert list(COLUMNS) == [
        *("path", "answer", "probability", "class_2", "probability_2"),
        *("abstain", "class_set", "error"),
    ]


def test_json_lines_are_the_rows(tmp_path):
    text = written(tmp_path / "a.jsonl").read_text(encoding="utf-8")
    lines = [json.loads(line) for line in text.split("\n")[:-1]]
    assert lines == [{name: row.get(name) for name in COLUMNS} for row in ROWS]


def test_csv_reads_back_as_the_rows(tmp_path):
    with open(written(tmp_path / "a.csv"), encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    for row, expected in zip(rows, ROWS, strict=True):
        for name, text in row.items():
            value = expected.get(name)
            if value is None:
                assert text == ""
            else:
                assert (text if isinstance(value, str) else json.loads(text)) == value


def test_parquet_holds_the_rows_with_their_types(tmp_path, monkeypatch):
    parquet = pytest.importorskip("pyarrow.parquet")
    monkeypatch.setattr("semivit_tf.stages.answer_tables._ROWS", 2)  # two row groups
    rows = parquet.read_table(written(tmp_path / "a.parquet")).to_pylist()
    assert rows == [{name: row.get(name) for name in COLUMNS} for row in ROWS]


def test_parquet_without_its_package_is_one_line(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    with pytest.raises(InputError, match="needs the package pyarrow"):
        table_format(tmp_path / "a.parquet")
