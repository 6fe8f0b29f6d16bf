"""Are derived settings as good as those that a person writes by hand?

    python experiments/derived_settings.py --groceries=FOLDER

Digits with 40 labels, Fashion-MNIST with 100 and 500, and photographs of 7 groceries
with 28, each with seeds 0 to 2: once by `--preset=quick` without any flag of training,
and once by a flagfile that was made for such images, with about as many updates. FOLDER
has train/CLASS and test/CLASS; without it, that row is left out. Every run has one
thread, and two run at a time. Writes each result to
experiments/results/derived_settings.json, goes on from what is there, and prints the
table made from it.
"""

import argparse
import concurrent.futures
import dataclasses
import json
import math
import pathlib
import time

from campaign import (
    RESULTS,
    processor_seconds,
    read_evaluation,
    read_versions,
    run_pipeline,
    spread,
    write_json,
)

COMMAND = "python experiments/derived_settings.py --groceries=FOLDER"
RESULT = RESULTS / "derived_settings.json"
FOLDER = "FOLDER"  # stands for that of --groceries
WAYS = {"derived": "derived", "by_hand": "by hand"}
MEASURES = {"finetuned": "fine-tuned", "semi_vit": "Semi-ViT"}
STAGES = "--stages=check,pretrain,finetune,semi_finetune,evaluate"


@dataclasses.dataclass(frozen=True)
class Images:
    """Images, and how many of them have labels.

    Attributes:
        title: String.
        classes: Integer.
        task: List of flags: which images and labels.
        by_hand: List of flags: a flagfile, and the updates where it makes more.
    """

    title: str
    classes: int
    task: list
    by_hand: list


def fashion_mnist(labels_per_class, *finetuning):
    """Returns Fashion-MNIST with so many labels, fine-tuned by hand as told."""
    return Images(
        f"Fashion-MNIST, {10 * labels_per_class} labels",
        10,
        [
            "--dataset=idx",
            "--data_dir=/usr/share/datasets/fashion-mnist",
            "--test_duplicates=refuse_exact",
            f"--labels_per_class={labels_per_class}",
        ],
        [
            "--flagfile=experiments/fashion_mnist_250_labels.flags",
            *("--pretrain_epochs=1", "--pretrain_steps_per_epoch=200"),
            "--pretrain_warmup_epochs=0.1",
            *finetuning,
            *("--semi_epochs=1", "--semi_steps_per_epoch=400"),
            *("--semi_warmup_epochs=0.1", "--semi_ema_momentum=0.98"),
        ],
    )


SETS = {
    "groceries": Images(
        "7 groceries, 28 labels",
        7,
        [f"--data_dir={FOLDER}", "--labels_per_class=4"],
        ["--flagfile=experiments/groceries_28_labels.flags"],
    ),
    "digits": Images(
        "digits, 40 labels",
        10,
        ["--dataset=digits", "--labels_per_class=4"],
        [
            "--flagfile=experiments/quickstart.flags",
            *("--pretrain_epochs=36", "--pretrain_warmup_epochs=4"),
            *("--finetune_epochs=150", "--finetune_warmup_epochs=15"),
            *("--semi_epochs=50", "--semi_warmup_epochs=2.5"),
            "--semi_ema_momentum=0.96",
        ],
    ),
    "fashion_100": fashion_mnist(
        10,
        *("--finetune_batch_size=100", "--finetune_base_learning_rate=2.5e-3"),
        *("--finetune_epochs=150", "--finetune_warmup_epochs=15"),
    ),
    "fashion_500": fashion_mnist(
        50, "--finetune_epochs=38", "--finetune_warmup_epochs=4"
    ),
}


def flags_of(name, way):
    """Returns the flags of a way to train on a set, without the seed."""
    images = SETS[name]
    how = ["--preset=quick"] if way == "derived" else images.by_hand
    return [*how, *images.task, STAGES]  # later flags win over those of the flagfile


def third_of_finetuning(workdir, log, classes):
    """Returns whether fine-tuning had learned anything after a third of its steps.

    Args:
        workdir: Path of a finished run.
        log: Path of what it said.
        classes: Integer. Guessing has the loss of its logarithm.
    """
    text = (workdir / "finetune" / "metrics.jsonl").read_text()
    epochs = [json.loads(line) for line in text.splitlines()]
    loss = epochs[math.ceil(len(epochs) / 3) - 1]["loss"]
    said = log.read_text().splitlines() if log.exists() else []
    warnings = [line for line in said if line.startswith("finetune: after a third")]
    return {
        "loss": loss,
        "below_chance": loss < math.log(classes),
        "warning": warnings[-1] if warnings else None,
    }


def measure_run(name, way, seed, folder, groceries):
    """Runs one way on one set with one seed; returns what came out."""
    workdir, log = folder / f"{name}_{way}_{seed}", folder / f"{name}_{way}_{seed}.log"
    whole, used, start = not workdir.exists(), processor_seconds(), time.monotonic()
    flags = [flag.replace(FOLDER, str(groceries)) for flag in flags_of(name, way)]
    run_pipeline(workdir, *flags, f"--seed={seed}", threads=1, log=log)
    found = read_evaluation(workdir)
    seconds = {
        "seconds": time.monotonic() - start,
        "processor_seconds": processor_seconds() - used,
    }
    return {
        "finetuned": found["finetune student"]["accuracy"],
        "semi_vit": found["semi_finetune teacher"]["accuracy"],
        "finetuning_after_a_third": third_of_finetuning(
            workdir, log, SETS[name].classes
        ),
        **(seconds if whole else {}),
        "versions": read_versions(workdir),
    }


def known_results(wanted):
    """Returns what is written already, less what was measured with other flags."""
    result = json.loads(RESULT.read_text()) if RESULT.exists() else {}
    flags = {name: {way: flags_of(name, way) for way in WAYS} for name in SETS}
    before, known = result.get("sets", {}), result.get("flags", {})
    return {
        "command": COMMAND,
        "metric": "accuracy on the test images",
        "versions": result.get("versions"),
        "flags": flags,
        "sets": {
            name: {
                way: before.get(name, {}).get(way, {})
                if known.get(name, {}).get(way) == flags[name][way]
                else {}
                for way in WAYS
            }
            for name in SETS
            if name in before or name in wanted
        },
    }


def measure(names, ways, seeds, folder, groceries, at_once):
    """Runs all seeds of all sets, and keeps each result as soon as it is there."""
    result = known_results(names)
    left = [
        (name, way, seed)
        for seed in seeds
        for name in names
        for way in ways
        if seed not in result["sets"][name][way]
    ]

    def keep(name, way, seed, found):
        result["versions"] = found.pop("versions")
        result["sets"][name][way][seed] = found
        write_json(RESULT, result)

    if at_once == 1:
        for run in left:
            keep(*run, measure_run(*run, folder, groceries))
        return
    # A process for each: what its own children use is known apart.
    with concurrent.futures.ProcessPoolExecutor(at_once) as pool:
        runs = {pool.submit(measure_run, *run, folder, groceries): run for run in left}
        try:
            for done in concurrent.futures.as_completed(runs):
                keep(*runs[done], done.result())
        finally:
            pool.shutdown(cancel_futures=True)


def table(result):
    """Returns the result as a Markdown table."""
    columns = ["test accuracy in %", "settings", "seeds", *MEASURES.values()]
    columns += ["loss below chance after a third", "CPU minutes"]
    lines = ["| " + " | ".join(columns) + " |", "|" + "---|" * len(columns)]
    for name, ways in result["sets"].items():
        for way, seeds in ways.items():
            if seeds:
                cells = [SETS[name].title, WAYS[way], ", ".join(sorted(seeds))]
                cells += cells_of(list(seeds.values()))
                lines.append("| " + " | ".join(cells) + " |")
    missing = [SETS[name].title for name in SETS if not _measured(result, name)]
    if missing:
        lines += ["", f"Not measured: {'; '.join(missing)}."]
    return "\n".join(lines)


def _measured(result, name):
    return any(result["sets"].get(name, {}).values())


def cells_of(runs):
    """Returns the cells that sum up runs with several seeds."""
    cells = [spread([run[measure] for run in runs]) for measure in MEASURES]
    thirds = [run["finetuning_after_a_third"] for run in runs]
    cells.append(f"{sum(third['below_chance'] for third in thirds)} of {len(runs)}")
    times = [run["processor_seconds"] for run in runs if "processor_seconds" in run]
    cells.append(f"{sum(times) / len(times) / 60:.0f}" if times else "")
    return cells


def main():
    """Measures, writes the result and prints the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--groceries", type=pathlib.Path, help="folder of the photos")
    parser.add_argument("--sets", default=",".join(SETS), help="which to measure")
    parser.add_argument("--ways", default=",".join(WAYS), help="how they are set")
    parser.add_argument("--seeds", default="0,1,2")
    parser.add_argument("--at_once", type=int, default=2, help="runs side by side")
    parser.add_argument("--workdir", default="runs/derived_settings")
    parser.add_argument("--table", action="store_true", help="print the table only")
    arguments = parser.parse_args()
    names = arguments.sets.split(",")
    unknown = [name for name in names if name not in SETS]
    if unknown:
        parser.error(f"--sets should be of {', '.join(SETS)}. Received: {unknown}")
    if "groceries" in names and arguments.groceries is None:
        names.remove("groceries")
        if not arguments.table:
            print("groceries: left out, as no --groceries=FOLDER is given", flush=True)
    if not arguments.table:
        folder = pathlib.Path(arguments.workdir).resolve()
        groceries = arguments.groceries and arguments.groceries.resolve()
        seeds, at_once = arguments.seeds.split(","), arguments.at_once
        ways = [way for way in WAYS if way in arguments.ways.split(",")]
        measure(names, ways, seeds, folder, groceries, at_once)
    print(table(json.loads(RESULT.read_text())))


if __name__ == "__main__":
    main()
