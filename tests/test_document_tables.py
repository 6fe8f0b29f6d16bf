"""The tables of the documents are those of the committed results."""

import importlib
import pathlib
import re
import sys

import pytest

ROOT = pathlib.Path(__file__).parents[1]


@pytest.fixture
def tables(monkeypatch):
    """Returns the module that writes the tables."""
    monkeypatch.syspath_prepend(ROOT / "experiments")
    return importlib.import_module("document_tables")


@pytest.fixture
def repository(tables, tmp_path, monkeypatch):
    """Returns a function that runs the command on a README of the given text."""
    readme = tmp_path / "README.md"
    monkeypatch.setattr(tables, "ROOT", tmp_path)
    monkeypatch.setattr(tables, "documents", lambda: [readme])

    def run(text, *arguments):
        readme.write_text(text)
        monkeypatch.setattr(sys, "argv", ["document_tables.py", *arguments])
        tables.main()
        return readme.read_text()

    return run


def test_the_documents_show_the_committed_results(tables):
    """If this fails: make results."""
    for document in tables.documents():
        text = document.read_text(encoding="utf-8")
        assert tables.with_tables(document, text) == text, document.name


def test_every_result_is_made_by_a_script_and_shown(tables):
    results = {path.stem for path in (ROOT / "experiments/results").glob("*.json")}
    assert set(tables.scripts()) == results
    shown = [
        name
        for document in tables.documents()
        for name in tables.tables_asked_for(document.read_text(encoding="utf-8"))
    ]
    assert set(shown) == results and len(shown) >= 13
    for name in results:
        command = tables.measured(name)[1]
        script = tables.scripts()[name].relative_to(ROOT).as_posix()
        assert command.split()[:2] == ["python", script]


def test_no_other_table_has_figures(tables):
    """A cell that is a measured number is between the comments, or nowhere."""
    figure = re.compile(r"\d+\.\d+( \+- [\d.]+)?( %| x| GB)?|\d+ %")
    checked = 0
    for document in tables.documents():
        text = document.read_text(encoding="utf-8")
        for line in tables.PLACE.sub("", text).splitlines():
            cells = [cell.strip() for cell in line.split("|")[1:-1]]
            checked += len(cells)
            wrong = [cell for cell in cells if figure.fullmatch(cell)]
            assert not wrong, f"{document.name}: {line}"
    assert checked > 20


ASKS = "Before.\n\n<!-- table: {} -->\n{}<!-- end -->\n\nAfter.\n"


def test_writing_twice_changes_nothing(tables, repository):
    asked = ASKS.format("plan", "| old | 1.0 |\n")
    once = repository(asked)
    sentence, command = tables.measured("plan")
    assert sentence in once and f"`{command}`" in once and "| old |" not in once
    assert once.startswith("Before.\n\n<!-- table") and once.endswith("\n\nAfter.\n")
    assert repository(once) == once
    assert repository(once, "--check") == once


def test_checking_names_what_is_out_of_date_and_leaves_it(repository, tmp_path):
    asked = ASKS.format("plan", "")
    with pytest.raises(SystemExit, match="^Out of date: README.md"):
        repository(asked, "--check")
    assert (tmp_path / "README.md").read_text() == asked


def test_data_are_linked_from_where_the_document_lies(tables):
    asked = ASKS.format("plan", "")
    for folder, link in (
        (ROOT, "experiments/results/plan.json"),
        (ROOT / "docs", "../experiments/results/plan.json"),
    ):
        assert f"]({link})" in tables.with_tables(folder / "x.md", asked)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (
            ASKS.format("plans", ""),
            "should be one of: .*, augmentation, .* Received: plans",
        ),
        ("<!-- table: plan -->\n", "Received: 1 and 0, 0 of them in pairs"),
        ("<!-- end -->\n", "Received: 0 and 1"),
        (
            "<!-- table: plan -->\n" + ASKS.format("plan", ""),
            "Received: 2 and 1, 1 of them in pairs",
        ),
        ("- <!-- table: plan -->\n<!-- end -->\n", "Received: 1 and 1, 0 of them"),
    ],
)
def test_a_table_that_cannot_be_written_is_an_error(
    repository, tmp_path, text, message
):
    with pytest.raises(
        SystemExit, match=f"^document_tables.py: README.md: .*{message}"
    ):
        repository(text)
    assert (tmp_path / "README.md").read_text() == text
