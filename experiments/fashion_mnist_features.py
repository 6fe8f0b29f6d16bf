"""What is learned without labels on Fashion-MNIST, by MAE and by DINO?

    python experiments/fashion_mnist_features.py

For seeds 0 to 2, the stages of experiments/fashion_mnist_250_labels.flags and of
experiments/fashion_mnist_dino.flags up to fine-tuning with 250 labels, and the same
without pre-training, for each of the two networks. Features are probed with all 60,000
training labels, as are raw pixels. Writes each result to
experiments/results/fashion_mnist_features.json, goes on from what is there, and prints
the table made from it.
"""

import json
import resource
import sys

from campaign import (
    RESULTS,
    ROOT,
    main,
    read_evaluation,
    read_versions,
    run_pipeline,
    spread,
    write_json,
)

sys.path.insert(0, str(ROOT))

COMMAND = "python experiments/fashion_mnist_features.py"
RESULT = RESULTS / "fashion_mnist_features.json"
SEEDS = (0, 1, 2)
MAE, DINO = "fashion_mnist_250_labels", "fashion_mnist_dino"
WAYS = {
    "untrained, patch 4": (MAE, "probe,finetune,evaluate"),
    "MAE, patch 4": (MAE, "pretrain,probe,finetune,evaluate"),
    "untrained, patch 7": (DINO, "probe,finetune,evaluate"),
    "DINO, patch 7": (DINO, "pretrain,probe,finetune,evaluate"),
}
PIXELS = "raw pixels"


def measure_way(way, seed, workdir):
    """Runs one way with one seed; returns its accuracies and the time it took."""
    name, stages = WAYS[way]
    flags = f"--flagfile=experiments/{name}.flags", f"--seed={seed}"
    whole, before = not workdir.exists(), processor_seconds()
    run_pipeline(workdir, *flags, f"--stages={stages}", "--probe_labels=all")
    seconds = processor_seconds() - before if whole else None
    probe = json.loads((workdir / "probe.json").read_text())
    return {
        "processor_seconds": seconds,
        "neighbors": probe["nearest_neighbors"]["10"],
        "linear": probe["linear"]["accuracy"],
        "finetuned": read_evaluation(workdir)["finetune student"]["accuracy"],
    }


def processor_seconds():
    """Returns the time that ended processes have taken, of all processors together."""
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def measure_pixels():
    """Returns the accuracies of raw pixels as features."""
    import numpy as np

    from semivit_tf.cli import parse
    from semivit_tf.data.dataset import load_parts
    from semivit_tf.stages.probe import measure as probe

    flagfile = ROOT / "experiments" / f"{MAE}.flags"
    settings = parse(["main.py", f"--flagfile={flagfile}"]).data
    names = settings.names_of_classes()
    parts = load_parts(settings.dataset, settings.data_dir, names)

    def features(source):
        pixels = np.asarray(source.images).reshape(len(source), -1)
        return pixels.astype("float32") / 255.0, np.asarray(source.labels)

    found = probe(*features(parts.train), *features(parts.test), len(names))
    return {
        "neighbors": found["nearest_neighbors"]["10"],
        "linear": found["linear"]["accuracy"],
    }


def table(result):
    """Returns the result as a Markdown table: means and deviations over seeds."""
    titles = {
        "neighbors": "10 neighbours, 60,000 labels",
        "linear": "linear probe, 60,000 labels",
        "finetuned": "fine-tuned, 250 labels",
    }
    measured = [way for way in (PIXELS, *WAYS) if result[way]]
    minutes = {way: processor_minutes(result[way]) for way in measured}
    columns = ["features", *titles.values()]
    if any(minutes.values()):
        columns.append("processor minutes of a run, at most")
    lines = ["| " + " | ".join(columns) + " |", "|" + "---|" * len(columns)]
    for way in measured:
        cells = [way]
        for name in titles:
            values = [seed[name] for seed in result[way].values() if name in seed]
            cells.append(spread(values) if values else "")
        cells.append(minutes[way])
        lines.append("| " + " | ".join(cells[: len(columns)]) + " |")
    return "\n".join(lines)


def processor_minutes(seeds):
    """Returns the most that a run of these took, where one was measured."""
    times = [seed.get("processor_seconds") for seed in seeds.values()]
    times = [time for time in times if time is not None]
    return f"{max(times) / 60:.0f}" if times else ""


def used_flags(way):
    """Returns the flags of a way's flagfile."""
    text = (ROOT / f"experiments/{WAYS[way][0]}.flags").read_text()
    return [line for line in text.splitlines() if line.startswith("--")]


def measure(folder):
    """Runs all ways with all seeds; what was measured with the same flags is kept."""
    flags = {way: used_flags(way) for way in WAYS}
    result = json.loads(RESULT.read_text()) if RESULT.exists() else {}
    known = result.get("flags", {})
    result = {
        "command": COMMAND,
        "metric": "accuracy on 10,000 test images",
        "versions": result.get("versions"),
        "flags": flags,
        PIXELS: result.get(PIXELS) or {"all": measure_pixels()},
        **{way: result[way] if known.get(way) == flags[way] else {} for way in WAYS},
    }
    for way in WAYS:
        for seed in map(str, SEEDS):
            if seed not in result[way]:
                workdir = folder / f"{way.replace(', ', '_').replace(' ', '_')}_{seed}"
                result[way][seed] = measure_way(way, seed, workdir)
                result["versions"] = read_versions(workdir)
                write_json(RESULT, result)
    return result


if __name__ == "__main__":
    main(__doc__.splitlines()[0], RESULT, measure, table, "runs/fashion_mnist_features")
