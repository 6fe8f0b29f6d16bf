"""Does a run take as long as `--plan` says?

    python experiments/benchmarks/plan.py

Plans the quickstart and then runs its three training stages. Writes
experiments/results/plan.json and prints the sentence made from it.
"""

import argparse
import json
import os
import pathlib
import re
import subprocess
import sys
import tempfile
import time

ROOT = pathlib.Path(__file__).resolve().parents[2]
RESULT = ROOT / "experiments" / "results" / "plan.json"
COMMAND = "python experiments/benchmarks/plan.py"
FLAGS = [
    "--flagfile=experiments/quickstart.flags",
    "--stages=pretrain,finetune,semi_finetune",
]


def measure(folder):
    """Returns the seconds that were planned and those that were needed."""
    command = [sys.executable, "main.py", *FLAGS, f"--workdir={folder}/run"]
    plan = subprocess.run(
        [*command, "--plan"], check=True, cwd=ROOT, capture_output=True, text=True
    ).stdout
    (clock,) = re.findall(r"Training takes about ([\d:]+)", plan)
    planned = 0
    for part in clock.split(":"):
        planned = 60 * planned + int(part)
    start = time.perf_counter()
    subprocess.run(command, check=True, cwd=ROOT)
    return {
        "command": COMMAND,
        "planned_seconds": planned,
        "seconds": time.perf_counter() - start,
        "processors": os.cpu_count(),
    }


def table(result):
    """Returns the result as a sentence."""
    planned, taken = result["planned_seconds"], result["seconds"]
    return (
        f"The quickstart's training was planned to take {planned:.0f} seconds and took "
        f"{taken:.0f}."
    )


def main():
    """Measures and writes the result."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--table", action="store_true", help="print the sentence only")
    if not parser.parse_args().table:
        with tempfile.TemporaryDirectory() as folder:
            result = measure(folder)
        RESULT.parent.mkdir(parents=True, exist_ok=True)
        RESULT.write_text(json.dumps(result, indent=2) + "\n")
    print(table(json.loads(RESULT.read_text())))


if __name__ == "__main__":
    main()
