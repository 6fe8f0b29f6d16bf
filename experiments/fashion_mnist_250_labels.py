"""How well does Semi-ViT do on Fashion-MNIST with 250 labels?

    python experiments/fashion_mnist_250_labels.py

Runs experiments/fashion_mnist_250_labels.flags with seed 0 (about half an hour on 2
cores; a finished run is kept), writes experiments/results/fashion_mnist_250_labels.json
and prints the table made from it.
"""

import json

from campaign import RESULTS, main, read_versions, run_pipeline

NAME = "fashion_mnist_250_labels"
RESULT = RESULTS / f"{NAME}.json"
SEED = 0
MEASURES = {
    "accuracy": "accuracy",
    "macro_precision": "macro precision",
    "macro_recall": "macro recall",
    "macro_f1": "macro F1",
}
TITLES = {
    ("finetune", "student"): "fine-tuned",
    ("semi_finetune", "student"): "Semi-ViT student",
    ("semi_finetune", "teacher"): "Semi-ViT teacher",
}


def table(result):
    """Returns the result as a Markdown table and a sentence on the gain."""
    lines = ["| % of the test images | " + " | ".join(MEASURES.values()) + " |"]
    lines.append("|---|" + "---|" * len(MEASURES))
    for row in result["results"]:
        cells = [f"{100 * row[measure]:.1f}" for measure in MEASURES]
        title = TITLES[row["stage"], row["weights"]]
        lines.append(f"| {title} | " + " | ".join(cells) + " |")
    gain = result["teacher_against_finetune"]
    lines += [
        "",
        f"The teacher is right where the fine-tuned network is wrong on "
        f"{gain['repaired']} images, and the other way round on {gain['broken']} "
        f"(McNemar's exact test: p = {gain['p_value']:.2g}).",
    ]
    return "\n".join(lines)


def measure(folder):
    """Runs the recipe; keeps the evaluation without lists of classes and matrices."""
    flags = f"--flagfile=experiments/{NAME}.flags", f"--seed={SEED}"
    workdir = run_pipeline(folder, *flags)
    evaluation = json.loads((workdir / "evaluation.json").read_text())
    rows = [
        {key: value for key, value in row.items() if not isinstance(value, list | dict)}
        for row in evaluation["results"]
    ]
    return {
        "command": f"python experiments/{NAME}.py",
        "seed": SEED,
        "part": evaluation["part"],
        "results": rows,
        "teacher_against_finetune": evaluation["teacher_against_finetune"],
        "versions": read_versions(workdir),
    }


if __name__ == "__main__":
    main(__doc__.splitlines()[0], RESULT, measure, table, f"runs/{NAME}")
