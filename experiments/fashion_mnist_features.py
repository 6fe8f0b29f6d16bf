"""What is learned without labels on Fashion-MNIST, by MAE and by DINO?

    python experiments/fashion_mnist_features.py

For seeds 0 to 2, the stages of experiments/fashion_mnist_250_labels.flags and of
experiments/fashion_mnist_dino.flags up to fine-tuning with 250 labels, and the same
without pre-training, for each of the two networks. What starts from scratch has a
second row, with settings of its own: they were chosen on 4,000 other training images.
Features are probed with all 60,000 training labels, as are raw pixels; those are given
to support vectors with the 250 labels, too. Writes each result to
experiments/results/fashion_mnist_features.json, goes on from what is there, and prints
the table made from it.
"""

import json
import sys

import numpy as np
from campaign import (
    RESULTS,
    ROOT,
    main,
    processor_seconds,
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
PROBED = "probe,finetune,evaluate"
FROM_SCRATCH = [
    "--finetune_layer_decay=1",
    "--finetune_base_learning_rate=1e-3",
    "--finetune_epochs=1000",
]
# Of each way the flagfile, the stages and flags of its own.
WAYS = {
    "untrained, patch 4": (MAE, PROBED, []),
    "from scratch, patch 4": (MAE, "finetune,evaluate", FROM_SCRATCH),
    "MAE, patch 4": (MAE, f"pretrain,{PROBED}", []),
    "untrained, patch 7": (DINO, PROBED, []),
    "DINO, patch 7": (DINO, f"pretrain,{PROBED}", []),
}
PIXELS = "raw pixels"
VECTORS = "support vectors on raw pixels"


def measure_way(way, seed, workdir):
    """Runs one way with one seed; returns its accuracies and the time it took."""
    name, stages, own = WAYS[way]
    flags = f"--flagfile=experiments/{name}.flags", f"--seed={seed}", *own
    whole, before = not workdir.exists(), processor_seconds()
    run_pipeline(workdir, *flags, f"--stages={stages}", "--probe_labels=all")
    found = {"processor_seconds": processor_seconds() - before if whole else None}
    if "probe" in stages:
        probe = json.loads((workdir / "probe.json").read_text())
        found["neighbors"] = probe["nearest_neighbors"]["10"]
        found["linear"] = probe["linear"]["accuracy"]
    found["finetuned"] = read_evaluation(workdir)["finetune student"]["accuracy"]
    return found


def load_images(seed):
    """Returns the data with the labels of a seed."""
    from semivit_tf.cli import parse
    from semivit_tf.data.dataset import load_dataset

    flagfile = ROOT / "experiments" / f"{MAE}.flags"
    settings = parse(["main.py", f"--flagfile={flagfile}"]).data
    return load_dataset(
        settings.dataset,
        data_dir=settings.data_dir,
        class_names=settings.names_of_classes(),
        labels_per_class=settings.labels_per_class,
        seed=seed,
    )


def pixels(source, indices=slice(None)):
    """Returns the pixels and the labels of some images, or of all."""
    images = np.asarray(source.images)[indices]
    flat = images.reshape(len(images), -1).astype("float32") / 255.0
    return flat, np.asarray(source.labels)[indices]


def measure_pixels():
    """Returns the accuracies of raw pixels as features, with all labels."""
    from semivit_tf.stages.probe import measure as probe

    data = load_images(0)
    parts = data.parts
    found = probe(*pixels(parts.train), *pixels(parts.test), len(data.class_names))
    return {
        "neighbors": found["nearest_neighbors"]["10"],
        "linear": found["linear"]["accuracy"],
    }


def measure_support_vectors(seed):
    """Returns the accuracy of support vectors; the labelled images choose how hard."""
    from sklearn.model_selection import GridSearchCV
    from sklearn.svm import SVC

    data = load_images(seed)
    machine = GridSearchCV(SVC(), {"C": [1, 10, 100]})
    machine.fit(*pixels(data.parts.train, data.split.labeled))
    return {"finetuned": machine.score(*pixels(data.parts.test))}


def table(result):
    """Returns the result as a Markdown table: means and deviations over seeds."""
    titles = {
        "neighbors": "10 neighbours, 60,000 labels",
        "linear": "linear probe, 60,000 labels",
        "finetuned": "trained with 250 labels",
    }
    measured = [way for way in (PIXELS, VECTORS, *WAYS) if result[way]]
    minutes = {way: processor_minutes(result[way]) for way in measured}
    columns = ["features", *titles.values()]
    if any(minutes.values()):
        columns.append("CPU minutes of a run, at most")
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
    """Returns the flags of a way: those of its flagfile and its own."""
    name, _, own = WAYS[way]
    text = (ROOT / f"experiments/{name}.flags").read_text()
    return [line for line in text.splitlines() if line.startswith("--")] + own


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
        VECTORS: result.get(VECTORS)
        or {str(seed): measure_support_vectors(seed) for seed in SEEDS},
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
