"""What experiments share: runs of main.py with many seeds, and one table of them."""

import argparse
import json
import os
import pathlib
import resource
import statistics
import subprocess
import sys

ROOT = pathlib.Path(__file__).resolve().parents[1]
RESULTS = ROOT / "experiments" / "results"


# What the packages that we use ask for how many threads to start.
_THREADS = "TF_NUM_INTRAOP_THREADS", "TF_NUM_INTEROP_THREADS", "OMP_NUM_THREADS"
_THREADS += ("NUMBA_NUM_THREADS", "OPENBLAS_NUM_THREADS")


def run_pipeline(workdir, *flags, threads=None, log=None):
    """Runs main.py in a folder; what is there already is kept. Returns the folder.

    Args:
        workdir: Path.
        *flags: Flags of main.py.
        threads: Optional integer. How many threads compute; by default, all.
        log: Optional path of a file that what it says is appended to.
    """
    command = [sys.executable, "main.py", *flags, f"--workdir={workdir}"]
    environment = dict(os.environ)
    if threads:
        environment.update(dict.fromkeys(_THREADS, str(threads)))
    if log is None:
        ended = subprocess.run(command, cwd=ROOT, env=environment)
    else:
        log.parent.mkdir(parents=True, exist_ok=True)
        with log.open("a") as said:
            ended = subprocess.run(
                command, cwd=ROOT, env=environment, stdout=said, stderr=said
            )
        if ended.returncode:
            print(log.read_text().splitlines()[-1], file=sys.stderr)
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


def processor_seconds():
    """Returns the time that ended processes have taken, of all processors together."""
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


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
