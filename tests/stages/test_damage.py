"""A damaged file of a run folder is named or made again, never believed."""

import json

SEEDS = 4  # damages of each folder; experiments/damage.py has more of them
ANSWERS = {"not read", "named, and made or read otherwise", "refused in one line"}


def test_a_run_in_a_damaged_folder_ends_as_it_should_or_in_one_line(start, tmp_path):
    """The script ends with an error where a damage is believed or not answered."""
    script, file = "experiments/damage.py", tmp_path / "damage.json"
    process = start(f"--seeds={SEEDS}", f"--result={file}", script=script)
    _, errors = process.communicate(timeout=1800)
    assert process.returncode == 0, errors
    found = json.loads(file.read_text())
    assert set(found) == {"command", "finished", "stopped in stage 3"}
    for folder in ("finished", "stopped in stage 3"):
        assert sum(found[folder]["answers"].values()) == SEEDS
        assert set(found[folder]["answers"]) <= ANSWERS
