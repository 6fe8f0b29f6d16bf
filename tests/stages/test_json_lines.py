"""Lines that were cut off or changed are counted, and the others are taken."""

import types

from semivit_tf.stages.costs import costs
from semivit_tf.stages.report_content import lines_of

GOOD = '{"stage": "finetune", "seconds": 1.5, "bytes": 300}'
BAD = ["", "[1]", "3", '"text"', "[" * 100_000, '{"stage": "finetune"}', GOOD[:-5]]
BAD += ['{"stage": "finetune", "seconds": [], "bytes": 300}', "\0"]


def run_of(folder):
    said = []
    place = types.SimpleNamespace(path=folder)
    return types.SimpleNamespace(folder=place, say=said.append), said


def test_costs_are_summed_by_stage_and_damaged_lines_said(tmp_path):
    run, said = run_of(tmp_path)
    assert costs(run) == [] and not said
    more = '{"stage": "finetune", "seconds": 2, "bytes": 200}'
    (tmp_path / "costs.jsonl").write_text("\n".join([GOOD, *BAD, more]) + "\n")
    assert costs(run) == [{"stage": "finetune", "seconds": 3.5, "bytes": 300}]
    file = tmp_path / "costs.jsonl"
    assert said == [f"{file}: 9 damaged lines are left out of the report"]


def test_epochs_are_lines_with_a_number(tmp_path):
    run, said = run_of(tmp_path)
    file = tmp_path / "metrics.jsonl"
    file.write_text('{"epoch": 1, "loss": 2}\n{"epoch": "three"}\n{"epoch": 2}\n\xff')
    assert lines_of(run, file) == [{"epoch": 1, "loss": 2}, {"epoch": 2}]
    assert said == [f"{file}: 2 damaged lines are left out of the report"]
