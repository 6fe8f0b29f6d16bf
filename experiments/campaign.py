"""What experiments share: runs of main.py with many seeds, and one table of them."""

import argparse
import json
import pathlib
import statistics
import subprocess
import sys

ROOT = pathlib.Path(__file__).resolve().parents[1]
RESULTS = ROOT / "experiments" / "results"


def run_pipeline(workdir, *flags):
    """Runs main.py in a folder; what is there already is kept. Returns the folder."""
    command = [sys.executable, "main.py", *flags, f"--workdir={workdir}"]
    ended = subprocess.run(command, cwd=ROOT)
    if ended.returncode:
        raise SystemExit(ended.returncode)  # it has said why
    if not (workdir / "evaluation.json").exists():
        raise SystemExit(f"{workdir} was stopped. To continue, run the same command.")
    return workdir


def read_evaluation(workdir):
    """Returns the evaluation of a run: dict of stage and weights to its measures.

    Where the best weights are there besides the last, those that the stage hands on.
    """
    evaluation = json.loads((workdir / "evaluation.json").read_text())
    return {
        f"{result['stage']} {result['weights']}": result
        for result in evaluation["results"]
        if result.get("handed_on", True)
    }


def read_versions(workdir):
    """Returns the versions of what a run used."""
    return json.loads((workdir / "config.json").read_text())["versions"]


def spread(shares):
    """Returns the mean and the standard deviation over seeds, in percent."""
    values = [100 * share for share in shares]
    if len(values) < 2:
        return f"{values[0]:.1f}"
    return f"{statistics.mean(values):.1f} +- {statistics.stdev(values):.1f}"


def write_json(path, content):
    """Writes a result."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(content, indent=2) + "\n")


def main(summary, result_file, measure, table, workdir):
    """Measures, writes the result and prints the table made from it.

    Args:
        summary: String. What the command does.
        result_file: Path of the JSON to write.
        measure: Function from the folder of all runs to the result.
        table: Function from the result to Markdown.
        workdir: Default of that folder.
    """
    parser = argparse.ArgumentParser(description=summary)
    parser.add_argument("--workdir", default=workdir)
    parser.add_argument("--table", action="store_true", help="print the table only")
    arguments = parser.parse_args()
    if not arguments.table:
        write_json(result_file, measure(pathlib.Path(arguments.workdir).resolve()))
    print(table(json.loads(result_file.read_text())))
