"""A damaged file of a run folder is named or made again, never believed."""

import json
import subprocess
import sys

from tests.stages.runs import ROOT

SEEDS = 8  # damages of each folder; experiments/damage.py has more of them


def test_a_run_in_a_damaged_folder_ends_as_it_should_or_in_one_line(tmp_path):
    """The script ends with an error where a damage is believed or not answered."""
    script, file = ROOT / "experiments" / "damage.py", tmp_path / "damage.json"
    command = [sys.executable, script, f"--seeds={SEEDS}", f"--result={file}"]
    result = subprocess.run(command, capture_output=True, text=True)
    assert result.returncode == 0, result.stderr
    found = json.loads(file.read_text())
    assert set(found) == {"command", "finished", "stopped in stage 3"}
    for folder in ("finished", "stopped in stage 3"):
        assert sum(found[folder]["answers"].values()) == SEEDS
        assert found[folder]["answers"]["refused in one line"] > 0
