"""Does a run take as long as `--plan` says, and as much memory?

    python experiments/benchmarks/plan.py [--groceries=FOLDER]

Plans the training stages of the quickstart and runs them; and, where a folder of
photographs is given, those of `--preset=quick` with 4 labels a class. Writes
experiments/results/plan.json after each of the two, and prints the table made from it.
"""

import argparse
import json
import pathlib
import subprocess
import sys
import tempfile
import time

ROOT = pathlib.Path(__file__).resolve().parents[2]
RESULT = ROOT / "experiments" / "results" / "plan.json"
COMMAND = "python experiments/benchmarks/plan.py"
STAGES = "--stages=pretrain,finetune,semi_finetune"
QUICKSTART = ("--flagfile=experiments/quickstart.flags", STAGES)
PHOTOGRAPHS = ("--preset=quick", "--labels_per_class=4", STAGES)


def planned(plan):
    """Returns a dict of stage to seconds and bytes, from the table of a plan."""
    found, header = {}, None
    for line in plan.splitlines():
        cells = [cell.strip() for cell in line.split("  ") if cell.strip()]
        if cells[:1] == ["stage"]:
            header = cells
        elif header and len(cells) == len(header) and not cells[0].startswith("-"):
            row = dict(zip(header, cells, strict=True))
            seconds = 0
            for part in row["time"].split(":"):
                seconds = 60 * seconds + int(part)
            size = float(row["memory"].removesuffix(" GB")) * 1e9
            found[row["stage"]] = {"seconds": seconds, "bytes": size}
    return found


def measure(folder, *flags):
    """Returns what was planned for each stage and what it took."""
    command = [sys.executable, "main.py", *flags, f"--workdir={folder}/run"]
    begun = time.perf_counter()
    plan = subprocess.run(
        [*command, "--plan"], check=True, cwd=ROOT, capture_output=True, text=True
    ).stdout
    answered = time.perf_counter() - begun
    subprocess.run(command, check=True, cwd=ROOT)
    lines = pathlib.Path(folder, "run", "costs.jsonl").read_text().splitlines()
    taken = {cost.pop("stage"): cost for cost in map(json.loads, lines)}
    stages = {
        stage: {"planned": of, "taken": taken[stage]}
        for stage, of in planned(plan).items()
    }
    return {"plan_seconds": answered, "stages": stages}


def table(result):
    """Returns the result as a Markdown table."""
    titles = ["run", "stage", "planned", "took", "planned / took"]
    titles += ["planned memory", "most memory", "planned / most"]
    lines = ["| " + " | ".join(titles) + " |", "|" + "---|" * len(titles)]
    for name, run in result["runs"].items():
        for stage, found in run["stages"].items():
            before, after = found["planned"], found["taken"]
            cells = [name, stage]
            cells += [f"{of['seconds']:.0f} s" for of in (before, after)]
            cells.append(f"{before['seconds'] / after['seconds']:.2f}")
            cells += [f"{of['bytes'] / 1e9:.2f} GB" for of in (before, after)]
            cells.append(f"{before['bytes'] / after['bytes']:.2f}")
            lines.append("| " + " | ".join(cells) + " |")
    answers = [f"{run['plan_seconds']:.0f} s" for run in result["runs"].values()]
    said = f"Planning took {', '.join(answers)}, on {result['processor']}."
    return "\n".join([*lines, "", said])


def main():
    """Measures, writes the result, and prints the table made from it."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--groceries", help="folder of photographs")
    parser.add_argument("--table", action="store_true", help="print the table only")
    given = parser.parse_args()
    runs, command = {"quickstart": QUICKSTART}, COMMAND
    if given.groceries:
        command += " --groceries=FOLDER"
        photographs = (*PHOTOGRAPHS, f"--data_dir={given.groceries}")
        runs["7 kinds of groceries, quick"] = photographs
    if not given.table:
        from turns import processor_name

        result = {"command": command, "processor": processor_name()}
        result["runs"] = {}
        for name, flags in runs.items():
            with tempfile.TemporaryDirectory() as folder:
                result["runs"][name] = measure(folder, *flags)
            RESULT.write_text(json.dumps(result, indent=2) + "\n")
    print(table(json.loads(RESULT.read_text())))


if __name__ == "__main__":
    main()
