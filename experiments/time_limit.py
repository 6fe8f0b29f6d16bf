"""Does a run with --time_limit end in that time, with a model exported?

    python experiments/time_limit.py --groceries=FOLDER

Runs the digits, Fashion-MNIST (250 labels) and photographs (4 labels a class) with no
settings but the limit. Goes on from what is in the result. Writes
experiments/results/time_limit.json after each run and prints the table made from it.
"""

import argparse
import json
import pathlib
import subprocess
import sys
import tempfile
import time

from campaign import RESULTS, ROOT, write_json

sys.path.insert(0, str(ROOT / "experiments" / "benchmarks"))

RESULT = RESULTS / "time_limit.json"
COMMAND = "python experiments/time_limit.py --groceries=FOLDER"
PHOTOGRAPHS = "7 kinds of groceries"
MINUTES = {"digits": 6, "Fashion-MNIST": 20, PHOTOGRAPHS: 10}
SETS = {
    "digits": ("--dataset=digits", "--labels_per_class=4"),
    "Fashion-MNIST": (
        "--dataset=idx",
        "--data_dir=/usr/share/datasets/fashion-mnist",
        "--labels_per_class=25",
        "--test_duplicates=refuse_exact",
    ),
    PHOTOGRAPHS: ("--labels_per_class=4",),
}


def measure(folder, minutes, *flags):
    """Returns how long a run took by the clock, and what it left."""
    command = [sys.executable, "main.py", f"--time_limit={minutes}m", *flags]
    began = time.perf_counter()
    subprocess.run([*command, f"--workdir={folder}"], check=True, cwd=ROOT)
    taken = time.perf_counter() - began
    stages = [folder / name for name in ("pretrain", "finetune", "semi_finetune")]
    return {
        "minutes": minutes,
        "seconds": taken,
        "exported": (folder / "export" / "1" / "saved_model.pb").exists(),
        "epochs": {
            stage.name: json.loads((stage / "DONE").read_text())["epochs"]
            for stage in stages
        },
    }


def table(result):
    """Returns the result as a Markdown table."""
    titles = ["images", "limit", "took", "took / limit", "epochs of the stages"]
    lines = ["| " + " | ".join(titles) + " |", "|" + "---|" * len(titles)]
    for name, found in result["sets"].items():
        limit = 60 * found["minutes"]
        epochs = ", ".join(str(number) for number in found["epochs"].values())
        cells = [name, f"{limit} s", f"{found['seconds']:.0f} s"]
        cells += [f"{found['seconds'] / limit:.2f}", epochs]
        lines.append("| " + " | ".join(cells) + " |")
    return "\n".join([*lines, "", f"On {result['processor']}."])


def main():
    """Measures, writes the result, and prints the table made from it."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--groceries", help="folder of photographs")
    parser.add_argument("--table", action="store_true", help="print the table only")
    given = parser.parse_args()
    if not given.table:
        from turns import processor_name

        result = {"command": COMMAND, "processor": processor_name(), "sets": {}}
        if RESULT.exists():
            result = json.loads(RESULT.read_text())
        for name in sorted(set(SETS) - set(result["sets"])):
            own = [f"--data_dir={given.groceries}"] if name == PHOTOGRAPHS else []
            with tempfile.TemporaryDirectory() as folder:
                place = pathlib.Path(folder, "run")
                flags = (*SETS[name], *own)
                result["sets"][name] = measure(place, MINUTES[name], *flags)
            write_json(RESULT, result)
    print(table(json.loads(RESULT.read_text())))


if __name__ == "__main__":
    main()
