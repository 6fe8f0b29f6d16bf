"""What a run folder refuses: a second process, and files that were damaged."""

import threading

import pytest

from semivit_tf.cli import parse
from semivit_tf.config.settings import InputError
from semivit_tf.stages.run_folder import RunFolder
from tests.stages.runs import TINY

ROUNDS, CONTENDERS = 30, 4


def contend(folder, config):
    """Opens a folder from several threads at once; returns the lines of the losers.

    A lock belongs to an open file, so threads contend as processes do.
    """
    together, tried = (threading.Barrier(CONTENDERS) for _ in range(2))
    refused = []

    def open_it():
        together.wait(10)
        try:
            with folder.opened(config, []):
                tried.wait(10)
        except InputError as error:
            refused.append(str(error))
            tried.wait(10)

    threads = [threading.Thread(target=open_it) for _ in range(CONTENDERS)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return refused


def test_one_of_several_that_open_a_new_folder_at_once_holds_it(tmp_path):
    config = parse(["main.py", *TINY])
    for number in range(ROUNDS):
        folder = RunFolder(tmp_path / str(number))
        line = f"--workdir={folder.path} is in use by another process"
        assert contend(folder, config) == [line] * (CONTENDERS - 1)


def test_a_folder_that_another_run_has_taken_meanwhile_is_refused(tmp_path):
    first, second = (parse(["main.py", *TINY, f"--seed={seed}"]) for seed in (0, 1))
    folder = RunFolder(tmp_path / "run")
    folder.check(second)  # while nothing is there
    with folder.opened(first, []):
        pass
    before = (folder.path / "config.json").read_bytes()
    with pytest.raises(InputError, match=r"other settings.*--seed=1 \(was 0\)"):
        with folder.opened(second, []):
            pass
    assert (folder.path / "config.json").read_bytes() == before
