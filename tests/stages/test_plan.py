"""A plan says what is to come, and leaves nothing behind."""

import re

from tests.stages.test_cli import run


def test_a_plan_counts_what_is_to_come(tmp_path, capsys):
    folder = tmp_path / "run"
    assert run(f"--workdir={folder}", "--plan", "--pretrain_epochs=6") == 0
    output = capsys.readouterr().out
    assert not folder.exists()
    rows = {line.split()[0]: line.split() for line in output.splitlines() if line}
    # 5 steps an epoch of 256 of 1438 images; 1; and 14 of 100 of 1418 images.
    assert [rows[n][3] for n in ("pretrain", "finetune", "semi_finetune")] == [
        "30",
        "3",
        "28",
    ]
    assert all(float(rows[name][4]) > 0 for name in ("pretrain", "semi_finetune"))
    assert re.search(r"Training takes about \d+:\d\d, [\d.]+ MB", output)


def test_what_is_done_is_not_planned(tmp_path, capsys):
    flags = (f"--workdir={tmp_path}", "--stages=finetune")
    assert run(*flags) == 0
    capsys.readouterr()
    assert run(*flags, "--plan") == 0
    assert "Nothing is left to train." in capsys.readouterr().out
