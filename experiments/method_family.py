"""Which semi-supervised method does best on Fashion-MNIST, in equal steps?

    python experiments/method_family.py

Runs the flagfiles experiments/fashion_mnist_METHOD.flags, two at a time, each on one
processor. Three questions: (A) 500 labels, from stages 1 and 2 that all methods of a
seed share; (B) 100 labels, the best five of these; (C) 500 labels from scratch: stage 2
and stage 3, by networks of one and of two streams. Thresholds and weights are chosen on
validation images of a seed that is not compared, in a third of the steps. Finished runs
are kept, so the command can be stopped and repeated. Writes
experiments/results/method_family.json after each run, and prints the tables made from
it. All of it is meant to take some eight hours of one
processor; it has not been run to its end.
"""

import argparse
import concurrent.futures
import itertools
import json
import os
import pathlib
import queue
import statistics
import subprocess
import sys

from campaign import RESULTS, ROOT, read_evaluation, read_versions, spread, write_json

RESULT = RESULTS / "method_family.json"
SEEDS, CHOOSING = (0, 1, 2), 100
# The flags of each method, and what is chosen between.
THRESHOLDS = ["--semi_threshold=0.7", "--semi_threshold=0.95"]
MOMENTA = ["--semi_threshold_momentum=0.99", "--semi_threshold_momentum=0.999"]
SELF_ADAPTIVE = ["--semi_selection=self_adaptive_threshold"]
PRETRAINED = {
    "supervised": ("supervised", [], [""]),
    "Pseudo-Label": ("pseudo_label", [], THRESHOLDS),
    "Mean Teacher": (
        "mean_teacher",
        [],
        ["--semi_unlabeled_weight=10", "--semi_unlabeled_weight=50"],
    ),
    "UDA": ("uda", [], THRESHOLDS),
    "FixMatch": ("fixmatch", [], THRESHOLDS),
    "FlexMatch": ("flexmatch", [], THRESHOLDS),
    "FreeMatch": ("freematch", [], MOMENTA),
    "SoftMatch": ("softmatch", [], MOMENTA),
    "EMA-Teacher": ("ema_teacher", [], THRESHOLDS),
    "pseudo mixup": ("semi_vit", ["--semi_mixing=pseudo_mixup"], THRESHOLDS),
    "pseudo mixup+": ("semi_vit", ["--semi_mixing=pseudo_mixup_plus"], THRESHOLDS),
    "Semi-ViT": ("semi_vit", [], THRESHOLDS),
    "Semi-ViT, FreeMatch's selection": ("semi_vit", SELF_ADAPTIVE, MOMENTA),
}
VIT = [
    *("--backbone=vit", "--patch_size=4", "--width=64", "--depth=6", "--heads=4"),
    *("--depths=", "--widths=", "--stem_width=", "--stem_stride="),
]
SUPERVISED = [
    "--semi_method=supervised",
    "--semi_threshold=",
    "--semi_unlabeled_weight=",
]
FIXMATCH = ["--semi_method=fixmatch"]
FROM_SCRATCH = {
    "ViT, supervised": ("semiformer", [*VIT, *SUPERVISED], [""]),
    "ViT, FixMatch": ("semiformer", [*VIT, *FIXMATCH], THRESHOLDS),
    "ViT, FixMatch, equal time": (
        "semiformer",
        [*VIT, *FIXMATCH, "--semi_steps_per_epoch=275"],
        ["--semi_threshold=0.95"],
    ),
    "Semi-MAE": ("semiformer", [*VIT, "--semi_method=semi_mae"], THRESHOLDS),
    "two streams, supervised": ("semiformer", SUPERVISED, [""]),
    "Semiformer": ("semiformer", [], THRESHOLDS),
    "Semiformer, transformer teaches": (
        "semiformer",
        ["--semi_labeler=transformer"],
        THRESHOLDS,
    ),
}
BEST = 5


def answers(title):
    """Returns which network answers."""
    return "student" if title.startswith("Semiformer") else "teacher"


class Runs:
    """Runs of main.py, two at a time, each on a processor of its own."""

    def __init__(self, folder):
        self.folder = folder
        self.free = queue.Queue()
        for number in sorted(os.sched_getaffinity(0))[:2]:
            self.free.put(number)
        self.pool = concurrent.futures.ThreadPoolExecutor(self.free.qsize())

    def all(self, wanted):
        """Runs a dict of folder name to flags; returns a dict of name to folder."""
        pairs = list(wanted.items())
        done = self.pool.map(lambda pair: self.one(*pair), pairs)
        return dict(zip(wanted, done, strict=True))

    def one(self, name, flags):
        """Runs main.py in a folder, unless it is finished; returns the folder."""
        workdir = self.folder / name
        if (workdir / "seconds.json").exists():
            return workdir
        number = self.free.get()
        try:
            self.start(workdir, flags, number)
        finally:
            self.free.put(number)
        return workdir

    def start(self, workdir, flags, number):
        workdir.mkdir(parents=True, exist_ok=True)
        command = [sys.executable, "main.py", *flags, f"--workdir={workdir}"]
        log = workdir.with_suffix(".log")
        with log.open("a") as output:
            process = subprocess.Popen(
                command,
                cwd=ROOT,
                stdout=output,
                stderr=subprocess.STDOUT,
                preexec_fn=lambda: os.sched_setaffinity(0, {number}),
            )
            _, status, used = os.wait4(process.pid, 0)
        if status:
            raise SystemExit(f"{workdir} failed, see {log}")
        print(f"{workdir.name}: {used.ru_utime:.0f} s", file=sys.stderr, flush=True)
        write_json(workdir / "seconds.json", used.ru_utime + used.ru_stime)


def recipe(method, seed, labels, *flags):
    """Returns the flags of a run."""
    return [
        f"--flagfile=experiments/fashion_mnist_{method}.flags",
        f"--labels_per_class={labels // 10}",
        f"--seed={seed}",
        *flags,
    ]


def shared_starts(runs, seeds, labels, *flags):
    """Runs stages 1 and 2 of each seed; returns the files that stage 3 starts from."""
    first = runs.all(
        {
            f"seed{seed}_stage1": recipe("semi_vit", seed, 500, "--stages=pretrain")
            for seed in seeds
        }
    )
    second = {}
    for seed in seeds:
        file = first[f"seed{seed}_stage1"] / "pretrain/weights/encoder.safetensors"
        stages = ["--stages=finetune,evaluate", f"--init_from={file}"]
        name = f"seed{seed}_{labels}_stage2"
        second[name] = recipe("semi_vit", seed, labels, *stages, *flags)
    runs.all(second)
    file = "finetune/weights/student.safetensors"
    return {seed: runs.folder / f"seed{seed}_{labels}_stage2" / file for seed in seeds}


def stage_3(method, seed, labels, start, *flags):
    """Returns the flags of a run of stage 3, from a file or from scratch."""
    stages = "semi_finetune,evaluate" if start else "finetune,semi_finetune,evaluate"
    begun = [f"--init_from={start}"] if start else []
    return recipe(method, seed, labels, f"--stages={stages}", *begun, *flags)


def slug(title):
    """Returns a title as part of a folder's name."""
    return "".join(c if c.isalnum() or c == "+" else "_" for c in title.lower())


def chosen_flags(runs, titles, labels, start):
    """Returns, for each title, the flags that do best on validation images."""
    held_out = ["--validation_per_class=20", "--semi_steps_per_epoch=100"]
    wanted, names = {}, {}
    for title, (method, flags, choices) in titles.items():
        if len(choices) == 1:
            continue
        for number, choice in enumerate(choices):
            names[title, choice] = f"choose_{labels}_{slug(title)}_{number}"
            given = [*flags, choice, *held_out]
            run = stage_3(method, CHOOSING, labels, start, *given)
            wanted[names[title, choice]] = run
    runs.all(wanted)

    def accuracy(title, choice):
        folder = runs.folder / names[title, choice]
        table = folder / "semi_finetune/metrics.jsonl"
        last = json.loads(table.read_text().splitlines()[-1])
        return last[f"val_{answers(title)}_accuracy"]

    return {
        title: max(choices, key=lambda one, title=title: accuracy(title, one))
        if len(choices) > 1
        else choices[0]
        for title, (*_, choices) in titles.items()
    }


def measured(runs, titles, labels, starts, chosen):
    """Runs all titles with all seeds; returns what they reached."""
    wanted = {}
    for seed, (title, (method, flags, _)) in itertools.product(SEEDS, titles.items()):
        given = [*flags, *([chosen[title]] if chosen[title] else [])]
        name = f"seed{seed}_{labels}_{slug(title)}"
        wanted[name] = stage_3(method, seed, labels, starts.get(seed), *given)
    folders = runs.all(wanted)
    rows = {}
    for seed, title in itertools.product(SEEDS, titles):
        folder = folders[f"seed{seed}_{labels}_{slug(title)}"]
        found = read_evaluation(folder)[f"semi_finetune {answers(title)}"]
        lines = (folder / "semi_finetune/metrics.jsonl").read_text().splitlines()
        last = json.loads(lines[-1])
        rows.setdefault(title, {})[str(seed)] = {
            "accuracy": found["accuracy"],
            "kept": last.get("kept"),
            "precision": last.get("pseudo_label_precision"),
            "processor_seconds": json.loads((folder / "seconds.json").read_text()),
        }
    return rows


def measure(folder, questions):
    """Answers the questions asked, keeping what was answered before."""
    runs = Runs(folder)
    result = json.loads(RESULT.read_text()) if RESULT.exists() else {"questions": {}}
    result["command"] = "python experiments/method_family.py"

    def keep(question, labels, titles, starts, choosing_start):
        chosen = chosen_flags(runs, titles, labels, choosing_start)
        rows = measured(runs, titles, labels, starts, chosen)
        result["questions"][question] = {
            "labels": labels,
            "chosen": chosen,
            "methods": rows,
        }
        result["versions"] = read_versions(next(folder.glob("seed*")))
        write_json(RESULT, result)

    held_out = "--validation_per_class=20"
    for question, labels in (("A", 500), ("B", 100)):
        if question not in questions:
            continue
        titles = PRETRAINED
        if question == "B":
            titles = {title: PRETRAINED[title] for title in best(result)}
        starts = shared_starts(runs, SEEDS, labels)
        choosing = shared_starts(runs, [CHOOSING], labels, held_out)[CHOOSING]
        keep(question, labels, titles, starts, choosing)
    if "C" in questions:
        keep("C", 500, FROM_SCRATCH, {}, None)
    return result


def best(result):
    """Returns the titles that did best with 500 labels."""
    rows = result["questions"]["A"]["methods"]
    means = {
        title: statistics.mean(row["accuracy"] for row in seeds.values())
        for title, seeds in rows.items()
    }
    return sorted(means, key=means.get, reverse=True)[:BEST]


REFERENCE = {"A": "supervised", "B": None, "C": "ViT, FixMatch"}
QUESTIONS = {
    "A": "{} labels, from shared stages 1 and 2",
    "B": "{} labels, the best of those",
    "C": "{} labels, from scratch",
}


def table(result):
    """Returns the result as Markdown tables."""
    tables = []
    for question, found in result["questions"].items():
        rows = found["methods"]
        reference = rows.get(REFERENCE[question]) or next(iter(rows.values()))
        title = QUESTIONS[question].format(found["labels"])
        lines = [
            f"| {title} | chosen | test accuracy, % | difference | kept | right of "
            "those | processor s |",
            "|---|---|---|---|---|---|---|",
        ]
        for name, seeds in rows.items():
            differences = [
                row["accuracy"] - reference[seed]["accuracy"]
                for seed, row in seeds.items()
            ]
            chosen = found["chosen"][name].removeprefix("--semi_")
            seconds = statistics.mean(r["processor_seconds"] for r in seeds.values())
            cells = [
                name,
                f"`{chosen}`" if chosen else "-",
                spread([row["accuracy"] for row in seeds.values()]),
                spread(differences),
                mean_of(seeds, "kept"),
                mean_of(seeds, "precision"),
                f"{seconds:.0f}",
            ]
            lines.append("| " + " | ".join(cells) + " |")
        tables.append("\n".join(lines))
    return "\n\n".join(tables)


def mean_of(seeds, key):
    """Returns the mean of a share over seeds, or a dash where it is not known."""
    values = [row[key] for row in seeds.values() if row[key] is not None]
    return f"{100 * statistics.mean(values):.0f} %" if values else "-"


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--workdir", default="runs/method_family")
    parser.add_argument("--questions", default="A,B,C")
    parser.add_argument("--table", action="store_true", help="print the table only")
    arguments = parser.parse_args()
    if not arguments.table:
        folder = pathlib.Path(arguments.workdir).resolve()
        measure(folder, arguments.questions.split(","))
    print(table(json.loads(RESULT.read_text())))
