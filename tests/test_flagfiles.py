"""Flagfiles by their names, and what an installed command says of itself."""

import pathlib
import tomllib

import pytest

from semivit_tf import cli
from semivit_tf.cli import parse
from semivit_tf.config.settings import InputError

ROOT = pathlib.Path(__file__).parents[1]


@pytest.fixture
def folders(tmp_path, monkeypatch):
    """An installed flagfile, and an empty folder to run in."""
    installed, here = tmp_path / "installed", tmp_path / "here"
    installed.mkdir()
    here.mkdir()
    (installed / "one.flags").write_text("--seed=7\n")
    monkeypatch.setattr(cli, "_RECIPES", installed)
    monkeypatch.chdir(here)
    return installed, here


def test_an_installed_flagfile_is_found_by_its_name(folders):
    given = ["semivit", "--flagfile=one.flags", "--workdir=runs/one"]
    config = parse(given)
    assert (config.run.seed, config.run.workdir) == (7, "runs/one")
    assert parse([*given, "--seed=8"]).run.seed == 8


def test_a_file_of_that_name_comes_first(folders):
    _, here = folders
    (here / "one.flags").write_text("--seed=9\n")
    assert parse(["semivit", "--flagfile=one.flags"]).run.seed == 9


@pytest.mark.parametrize(
    "argument",
    ["--flagfile=", "--flagfile=two.flags", "--flagfile=../one.flags", "--seed=1"],
)
def test_all_else_stays_as_it_is(argument, folders):
    assert cli._with_folder(argument) == argument


def test_a_flagfile_that_is_nowhere_is_refused(folders):
    with pytest.raises(InputError, match="two.flags"):
        parse(["semivit", "--flagfile=two.flags"])


def test_recipes_are_installed_where_they_are_looked_for():
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    ((folder, patterns),) = project["tool"]["setuptools"]["data-files"].items()
    assert pathlib.Path(folder).parts == cli._RECIPES.parts[-2:]
    installed = {file for pattern in patterns for file in ROOT.glob(pattern)}
    assert installed == set(ROOT.rglob("experiments/**/*.flags"))


@pytest.mark.parametrize(
    ("program", "line"),
    [
        ("main.py", "python main.py --flagfile=experiments/quickstart.flags --seed=1"),
        ("bin/semivit", "semivit --flagfile=quickstart.flags --seed=1"),
    ],
)
def test_help_says_how_it_was_started(program, line):
    lines = parse([program, "--help"]).splitlines()
    assert f"  {line} --workdir=runs/seed1" in lines
