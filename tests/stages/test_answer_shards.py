"""Shards of answers are joined to a table that has each image exactly once."""

import json
import os
import pathlib
import random
import signal
import subprocess
import sys
import textwrap
import time

import pytest

from semivit_tf.config.settings import InputError
from semivit_tf.stages import answer_shards
from semivit_tf.stages.answer_shards import AnswerShards
from semivit_tf.stages.answer_tables import json_lines

ROOT = pathlib.Path(__file__).parents[2]
NAMES = [os.fsdecode(b"\xff.png"), "new\nline.png", "a/b.png", *map(str, range(18))]


class Tally:
    def __init__(self):
        self.rows = 0

    def add(self, row):
        self.rows += 1

    def summary(self):
        return {"images": self.rows}


@pytest.fixture(autouse=True)
def small(monkeypatch):
    """Shards of four images, so that 21 images take six."""
    monkeypatch.setattr(answer_shards, "SHARD", 4)


def begun(file, **asked):
    return AnswerShards(file, {"top_k": 2, **asked})


def listed():
    return "/new", iter(NAMES)


def answer(shards, numbers):
    """Writes some shards as the stage does: the rows of their images."""
    for number, chunk in zip(numbers, shards.images(numbers), strict=True):
        shards.write(number, [{"path": str(place)} for place, _ in chunk])


def finish(shards):
    """Answers what is missing, and returns the summary and the paths."""
    with shards.opened(listed):
        answer(shards, shards.missing())
        found = shards.join(lambda path: json_lines(path, ["path"]), Tally())
    rows = shards.file.read_text().splitlines()
    return found, [json.loads(row)["path"] for row in rows]


def test_images_come_in_shards_with_the_names_they_have(tmp_path):
    shards = begun(tmp_path / "a.jsonl")
    with shards.opened(listed):
        assert shards.missing() == [0, 1, 2, 3, 4, 5]
        found = list(shards.images([0, 2, 5]))
        numbers = [[number for number, _ in chunk] for chunk in found]
        assert numbers == [[0, 1, 2, 3], [8, 9, 10, 11], [20]]
        assert [shards.size(number) for number in (0, 5)] == [4, 1]
        assert [shards.end(number) for number in (0, 5)] == [4, 21]
        assert [name for _, name in found[0]] == list(map(os.fsencode, NAMES[:4]))
        assert shards.path(found[0][0][1]) == b"/new/\xff.png"


def test_a_table_goes_on_with_its_own_list(tmp_path):
    shards = begun(tmp_path / "a.jsonl")
    with shards.opened(listed):
        answer(shards, [0, 3])
        with pytest.raises(InputError, match="is in use by another process"):
            finish(begun(tmp_path / "a.jsonl"))
    again = begun(tmp_path / "a.jsonl")
    with again.opened(None):  # nothing is listed again
        assert again.missing() == [1, 2, 4, 5]
    found, paths = finish(again)
    assert found["images"] == 21 and paths == list(map(str, range(21)))
    left = sorted(path.name for path in tmp_path.iterdir())
    assert left == ["a.jsonl", "a.jsonl.json"]
    assert begun(tmp_path / "a.jsonl").summary() == found


def test_other_questions_and_other_files_are_left_alone(tmp_path):
    shards = begun(tmp_path / "a.jsonl")
    with shards.opened(listed):
        answer(shards, [0])
    other = begun(tmp_path / "a.jsonl", top_k=3)
    with (
        pytest.raises(InputError, match=r"Differing: --top_k=3 \(was 2\)"),
        other.opened(listed),
    ):
        pass
    finish(shards)
    with pytest.raises(InputError, match=r"Differing: --top_k=3 \(was 2\)"):
        other.summary()
    (tmp_path / "mine.jsonl").write_text("mine")
    with pytest.raises(InputError, match="exists and is not of this stage"):
        begun(tmp_path / "mine.jsonl").summary()


def test_a_list_that_fails_leaves_nothing(tmp_path):
    def fails():
        yield "a.png"
        raise ValueError("line 3 lacks its path")

    shards = begun(tmp_path / "a.jsonl")
    with (
        pytest.raises(ValueError, match="line 3"),
        shards.opened(lambda: ("/new", fails())),
    ):
        pass
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("last", ["summary", "parts"])
def test_a_process_that_dies_while_it_finishes(last, tmp_path, monkeypatch):
    """After the table is written, and after its summary is."""
    shards = begun(tmp_path / "a.jsonl")

    def die(*_):
        raise KeyboardInterrupt

    with shards.opened(listed):
        answer(shards, shards.missing())
        place = "write_result" if last == "summary" else "shutil.rmtree"
        with monkeypatch.context() as patched, pytest.raises(KeyboardInterrupt):
            patched.setattr(f"semivit_tf.stages.answer_shards.{place}", die)
            shards.join(lambda path: json_lines(path, ["path"]), Tally())
    written = shards.file.read_bytes()
    found = begun(tmp_path / "a.jsonl").summary()
    assert (found is None) == (last == "summary")
    if found is None:
        finish(begun(tmp_path / "a.jsonl"))
    assert shards.file.read_bytes() == written
    left = sorted(path.name for path in tmp_path.iterdir())
    assert left == ["a.jsonl", "a.jsonl.json"]


# It imports nothing heavy, so that it is soon at work.
WORKER = textwrap.dedent(
    """
    import sys, time, types
    from semivit_tf.stages import answer_shards, answer_tables
    answer_shards.SHARD = 4
    shards = answer_shards.AnswerShards(sys.argv[1], {})
    tally = types.SimpleNamespace(add=lambda row: None, summary=lambda: {})
    print("ready", flush=True)
    if shards.summary() is None:
        with shards.opened(lambda: ("/new", map(str, range(400)))):
            for number in shards.missing():
                (chunk,) = shards.images([number])
                shards.write(number, [{"path": str(place)} for place, _ in chunk])
                time.sleep(0.002)
            shards.join(lambda path: answer_tables.json_lines(path, ["path"]), tally)
    """
)


def test_ten_kills_lose_and_repeat_nothing(tmp_path):
    """SIGKILL at random moments; each process starts a new table when one is done."""
    draws, kills, tables = random.Random(0), 0, 0
    while kills < 10 or not (tmp_path / f"{tables}.jsonl.json").exists():
        file = tmp_path / f"{tables}.jsonl"
        command = [sys.executable, "-c", WORKER, str(file)]
        process = subprocess.Popen(command, stdout=subprocess.PIPE, cwd=ROOT)
        process.stdout.readline()
        if kills < 10:
            time.sleep(draws.uniform(0, 0.1))
            process.send_signal(signal.SIGKILL)
        process.communicate()
        kills += process.returncode == -signal.SIGKILL
        if process.returncode == 0 and kills < 10:
            tables += 1
    rows = file.read_text().splitlines()
    paths = [json.loads(row)["path"] for row in rows]
    assert paths == [str(number) for number in range(400)]
