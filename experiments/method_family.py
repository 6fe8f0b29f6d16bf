"""Which semi-supervised method does best on Fashion-MNIST, in equal steps?

    python experiments/method_family.py

Runs the flagfiles experiments/fashion_mnist_METHOD.flags, two at a time, each on one
processor. Three questions: (A) 500 labels, from stages 1 and 2 that all methods of a
seed share; (B) 100 labels, the best five of these; (C) 500 labels from scratch: stage 2
and stage 3, by networks of one and of two streams. Thresholds and weights are chosen on
validation images of a seed that is not compared, in a third of the steps. Each run is
kept in experiments/results/method_family.json as soon as it ends, seed by seed; the
command can be stopped and repeated, and needs no folders of runs that it has counted.
Prints the tables made from the JSON. All of it is meant to take some eight hours of one
processor.
"""

import argparse
import concurrent.futures
import json
import os
import pathlib
import queue
import statistics
import subprocess
import sys
import threading

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


def choices_of(titles, labels, start):
    """Returns, by folder name, what is compared to choose the flags of each title."""
    held_out = ["--validation_per_class=20", "--semi_steps_per_epoch=100"]
    return {
        f"choose_{labels}_{slug(title)}_{number}": (
            title,
            choice,
            stage_3(method, CHOOSING, labels, start, *flags, choice, *held_out),
        )
        for title, (method, flags, choices) in titles.items()
        for number, choice in enumerate(choices)
        if len(choices) > 1
    }


def last_metrics(folder):
    """Returns what stage 3 measured in its last epoch."""
    lines = (folder / "semi_finetune/metrics.jsonl").read_text().splitlines()
    return json.loads(lines[-1])


def measured_run(folder, title):
    """Returns what a run reached."""
    found = read_evaluation(folder)[f"semi_finetune {answers(title)}"]
    last = last_metrics(folder)
    return {
        "accuracy": found["accuracy"],
        "kept": last.get("kept"),
        "precision": last.get("pseudo_label_precision"),
        "processor_seconds": json.loads((folder / "seconds.json").read_text()),
    }


class Results:
    """What is known already, written down after each run."""

    def __init__(self):
        self.content = {"questions": {}}
        if RESULT.exists():
            self.content = json.loads(RESULT.read_text())
        self.content["command"] = "python experiments/method_family.py"
        self.lock = threading.Lock()

    def rows(self, question, kind, labels):
        """Returns the dict of `"chosen"` or `"methods"` of a question."""
        known = self.content["questions"].setdefault(question, {"labels": labels})
        return known.setdefault(kind, {})

    def keep(self, folder, rows, title, key, value):
        """Keeps what a run has found."""
        with self.lock:
            rows.setdefault(title, {})[key] = value
            self.content["versions"] = read_versions(folder)
            write_json(RESULT, self.content)


def answer(runs, results, question, labels, titles, pretrained):
    """Chooses flags for all titles, and measures each with all seeds."""

    def starts(seed, *flags):
        if not pretrained:
            return None
        return shared_starts(runs, [seed], labels, *flags)[seed]

    chosen = results.rows(question, "chosen", labels)
    tried = results.rows(question, "tried", labels)
    for title, (*_, choices) in titles.items():
        if len(choices) == 1:
            chosen[title] = choices[0]
    unknown = {title: row for title, row in titles.items() if title not in chosen}
    if unknown:
        start = starts(CHOOSING, "--validation_per_class=20")
        compared = choices_of(unknown, labels, start)

        def try_out(name):
            title, choice, flags = compared[name]
            if choice in tried.get(title, {}):
                return
            folder = runs.one(name, flags)
            accuracy = last_metrics(folder)[f"val_{answers(title)}_accuracy"]
            results.keep(folder, tried, title, choice, accuracy)

        list(runs.pool.map(try_out, compared))
        for title, (*_, choices) in unknown.items():
            chosen[title] = max(choices, key=tried[title].get)
    methods = results.rows(question, "methods", labels)
    for seed in SEEDS:
        left = [title for title in titles if str(seed) not in methods.get(title, {})]
        start = starts(seed) if left else None

        def measure_one(title, seed=seed, start=start):
            method, flags, _ = titles[title]
            given = [*flags, *([chosen[title]] if chosen[title] else [])]
            name = f"seed{seed}_{labels}_{slug(title)}"
            folder = runs.one(name, stage_3(method, seed, labels, start, *given))
            found = measured_run(folder, title)
            results.keep(folder, methods, title, str(seed), found)

        list(runs.pool.map(measure_one, left))


def measure(folder, questions):
    """Answers the questions asked, keeping what was answered before."""
    runs, results = Runs(folder), Results()
    for question, labels in (("A", 500), ("B", 100), ("C", 500)):
        if question not in questions:
            continue
        titles = FROM_SCRATCH if question == "C" else PRETRAINED
        if question == "B":
            titles = {title: PRETRAINED[title] for title in best(results.content)}
        answer(runs, results, question, labels, titles, question != "C")


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
                if seed in reference
            ]
            chosen = found["chosen"][name].removeprefix("--semi_")
            seconds = statistics.mean(r["processor_seconds"] for r in seeds.values())
            cells = [
                name,
                f"`{chosen}`" if chosen else "-",
                spread([row["accuracy"] for row in seeds.values()]),
                spread(differences) if differences else "-",
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
