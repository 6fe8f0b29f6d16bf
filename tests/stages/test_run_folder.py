"""What a run folder refuses: a second process, and files that were damaged."""

import io
import shutil
import threading

import numpy as np
import pytest

from semivit_tf.cli import parse
from semivit_tf.config.settings import InputError
from semivit_tf.data.label_splits import LabelSplit
from semivit_tf.stages.failures import one_line_errors
from semivit_tf.stages.run_folder import RunFolder
from tests.stages.runs import TINY, error, run

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


OTHER_JSON = ["", "{}", "[]", "3", "[" * 100_000]
OTHER_JSON += ['{"flags": []}', '{"flags": {"seed": []}}', '{"flags": {"sead": 1}}']
OTHER_JSON += ['{"flags": {}, "derived": [1]}', '{"flags": {}, "derived": {"a": 1}}']


@pytest.mark.parametrize("text", OTHER_JSON, ids=lambda text: text[:30] or "empty")
def test_settings_of_another_shape_are_refused(tmp_path, text):
    folder = RunFolder(tmp_path / "run")
    folder.path.mkdir()
    (folder.path / "config.json").write_text(text)
    with pytest.raises(InputError, match=r"config\.json cannot be understood"):
        folder.check(parse(["main.py", *TINY]))


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


SPLITS = {
    "no header": "0,labeled\n",
    "another word": "index,part\n0,lost\n",
    "NUL": "index,part\n0,lab\0eled\n",
    "a short row": "index,part\n0\n",
    "a very long field": "index,part\n0," + "x" * 200_000 + "\n",
    "a very long number": "index,part\n" + "9" * 30 + ",labeled\n",
    "a row too long": 'index,part\n0,labeled,0\n1,validation,"\n',
    "nothing": "",
}


@pytest.mark.parametrize("text", SPLITS.values(), ids=SPLITS.keys())
def test_a_damaged_split_is_refused_in_one_line(text, tmp_path):
    split = LabelSplit(*(np.array([number], np.int64) for number in range(3)))
    folder = RunFolder(tmp_path)
    folder.keep_split(split)
    folder.check_split(split)
    for content in (text.encode(), b"\xff" + text.encode()):
        (tmp_path / "split.csv").write_bytes(content)
        with pytest.raises(InputError, match="csv is not the split of these settings"):
            folder.check_split(split)


def test_a_table_that_is_no_split_is_named():
    with pytest.raises(ValueError, match="one of labeled, unlabeled, validation"):
        LabelSplit.read_csv(io.StringIO(SPLITS["another word"]))


@pytest.mark.parametrize("name", ["", "checkpoints", "weights", "weights/best"])
def test_a_file_in_place_of_a_folder_is_refused(name, tmp_path):
    path = tmp_path / "finetune" / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("a file")
    with pytest.raises(InputError) as caught:
        RunFolder(tmp_path).stage("finetune").check()
    assert str(caught.value) == f"{path} should be a folder. Received: a file"


def test_a_file_of_another_kind_is_not_said_to_go_away(tmp_path):
    with pytest.raises(InputError) as caught, one_line_errors(tmp_path):
        (tmp_path / "file").touch()
        (tmp_path / "file" / "below").touch()
    assert str(caught.value) == f"{tmp_path / 'file' / 'below'}: Not a directory"


def test_pretraining_whose_end_is_lost_is_finished_again(tmp_path, capsys):
    flags = (f"--workdir={tmp_path}", "--stages=pretrain,finetune")
    assert run(*flags) == 0
    (tmp_path / "pretrain" / "DONE").unlink()
    weights = tmp_path / "pretrain" / "weights" / "encoder.safetensors"
    before = weights.read_bytes()
    weights.unlink()
    capsys.readouterr()
    assert run(*flags) == 0
    assert "finetune: done before" in capsys.readouterr().out
    assert weights.read_bytes() == before
    # Without all of it, what is said is what happened.
    shutil.rmtree(tmp_path / "pretrain")
    line = error(capsys, *flags)
    assert "finetune has started from pretrain. Leave pretrain out, or" in line
    assert run(f"--workdir={tmp_path}", "--stages=finetune") == 0
