"""A plan says what is to come, and leaves nothing behind."""

import re

from semivit_tf.training.weight_files import read_arrays, write_arrays
from tests.stages.runs import TINY, run


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
    assert re.search(r"Training takes about \d+:\d\d and [\d.]+ MB", output)
    gigabytes = [float(rows[name][6]) for name in ("pretrain", "semi_finetune")]
    assert all(0.1 < one < 10 for one in gigabytes)
    assert "estimated from a few images of each stage." in output


def test_only_what_is_left_is_planned_and_on_all_replicas(start, tmp_path):
    def ask(*flags):
        process = start(*TINY, "--stages=finetune", f"--workdir={tmp_path}", *flags)
        output, errors = process.communicate()
        assert process.returncode == 0, errors
        return output

    flags = ("--finetune_epochs=12", "--strategy=mirrored", "--logical_cpus=2")
    ask(*flags)
    (tmp_path / "finetune" / "DONE").unlink()
    checkpoint = next((tmp_path / "finetune" / "checkpoints").glob("step-*12.*"))
    arrays, metadata = read_arrays(checkpoint)
    write_arrays(checkpoint, arrays, {"position": '{"epoch": 5, "step": 5}'})
    row = next(
        line.split()
        for line in ask(*flags, "--plan").splitlines()
        if line.startswith("finetune")
    )
    assert row[3] == "7"


def test_what_is_done_is_not_planned(finetuned, capsys):
    capsys.readouterr()
    assert run(f"--workdir={finetuned}", "--stages=finetune", "--plan") == 0
    assert "Nothing is left to train." in capsys.readouterr().out
