"""How many labels does a set of images need? A CNN, a ViT and Semi-ViT, side by side.

    python experiments/label_sweep.py --flagfile=FLAGFILE --labels_per_class=1,5,10

FLAGFILE says which images, which ViT and how it is trained: one of the recipes here, or
your own. All that follows is handed to main.py, such as
`--dataset=folder --data_dir=PATH`. For each number of labels and each seed, the ViT is
fine-tuned and then taught by Semi-ViT in one run; and the CNN of
--cnn="--backbone=convnext_tiny --init_from=FILE" is fine-tuned on the same labels and
views, with the same settings. Sizes of batches are limits: with fewer labels there are
smaller ones, the same for both networks. If the ViT starts from published
weights, the CNN should too, unless --cnn_from_scratch says that it need not. Finished
runs are kept. Writes a JSON with accuracy and macro precision, recall and F1 on the
test images, and prints their means and deviations over seeds.
"""

import argparse
import dataclasses
import json
import pathlib
import shlex
import sys

from campaign import (
    RESULTS,
    ROOT,
    read_evaluation,
    read_versions,
    run_pipeline,
    spread,
    write_json,
)

MEASURES = {
    "accuracy": "accuracy",
    "macro_precision": "macro precision",
    "macro_recall": "macro recall",
    "macro_f1": "macro F1",
}
WAYS = {
    "cnn": ("CNN, fine-tuned", "finetune student"),
    "vit": ("ViT, fine-tuned", "finetune student"),
    "semi_vit": ("Semi-ViT", "semi_finetune teacher"),
}
CNN_STAGES = "check,finetune,evaluate"
VIT_STAGES = ("finetune", "semi_finetune", "evaluate")  # at least
SWEPT = "labels_per_class label_fraction labeled_index unlabeled_index seed workdir"


def refuse(reason):
    """Ends the command in one line, with the exit code of input that cannot be used."""
    print(f"label_sweep.py: {reason}", file=sys.stderr)
    raise SystemExit(2)


def numbers(text):
    """Returns the integers of a text such as `1,5,10`."""
    return [int(part) for part in text.split(",")]


def flags_of_networks():
    """Returns the names of flags that say which network it is, not how it learns."""
    sys.path.insert(0, str(ROOT))
    from semivit_tf.config.backbone import BackboneConfig

    return [field.name for field in dataclasses.fields(BackboneConfig)]


def lines_of(flagfile):
    """Returns the lines of a flagfile, and those of flagfiles that it names."""
    found = []
    for line in flagfile.read_text().splitlines():
        name, _, value = line.strip().partition("=")
        found += lines_of(ROOT / value) if name == "--flagfile" else [line]
    return found


def split_flags(lines):
    """Returns the flags of a flagfile in two lists: of the ViT, and what is shared."""
    flags = [line.strip() for line in lines if line.strip()]
    flags = [flag for flag in flags if not flag.startswith("#")]
    wrong = [flag for flag in flags if not flag.startswith("--")]
    if wrong:
        refuse(f"flags should be written --name=value. Received: {wrong}")
    named = [(flag, flag[2:].partition("=")[0]) for flag in flags]
    vit, swept = flags_of_networks(), SWEPT.split()
    return (
        [flag for flag, name in named if name in vit],
        [flag for flag, name in named if name not in [*vit, *swept]],
    )


def starts_from_weights(flags):
    """Returns whether flags of a network name weights that were made elsewhere."""
    named = dict(flag[2:].partition("=")[::2] for flag in flags)
    backbone = named.get("backbone", "")
    preset = backbone.startswith(("keras_hub:", "keras:")) or backbone.count(":") > 1
    return preset or bool(named.get("init_from"))


def stages_left_out(flags):
    """Returns the stages that a sweep compares and that `--stages` leaves out."""
    given = [flag for flag in flags if flag.startswith("--stages=")]
    asked = given[-1].partition("=")[2].split(",") if given else VIT_STAGES
    asked = [name.strip() for name in asked]
    return [name for name in VIT_STAGES if name not in asked]


def measures(workdir, name):
    """Returns what one network of a finished run reached."""
    found = read_evaluation(workdir)[name]
    return {measure: found[measure] for measure in MEASURES}


def networks(arguments, flags):
    """Returns the flags of the ViT, those of the CNN, and what they share."""
    lines = lines_of(pathlib.Path(arguments.flagfile))
    vit, shared = split_flags([*lines, *flags])
    left_out = stages_left_out(shared)
    if left_out:
        refuse(f"--stages should have {', '.join(VIT_STAGES)}. Missing: {left_out}")
    cnn = shlex.split(arguments.cnn)
    unfair = starts_from_weights(vit) and not starts_from_weights(cnn)
    if unfair and not arguments.cnn_from_scratch:
        refuse(
            "the ViT starts from published weights, so --cnn should have --init_from, "
            f"or --cnn_from_scratch be given. Received: --cnn={arguments.cnn!r}"
        )
    return vit, [*cnn, f"--stages={CNN_STAGES}"], ["--fit_batch_sizes", *shared]


def measure(arguments, flags):
    """Runs all numbers of labels with all seeds."""
    folder = pathlib.Path(arguments.workdir).resolve()
    vit, cnn, shared = networks(arguments, flags)
    results = {}
    for labels in numbers(arguments.labels_per_class):
        for seed in numbers(arguments.seeds):
            name = f"labels{labels}_seed{seed}"
            task = [*shared, f"--labels_per_class={labels}", f"--seed={seed}"]
            one = run_pipeline(folder / f"{name}_vit", *task, *vit)
            other = run_pipeline(folder / f"{name}_cnn", *task, *cnn)
            folders = {"cnn": other, "vit": one, "semi_vit": one}
            results.setdefault(str(labels), {})[str(seed)] = {
                way: measures(folders[way], weights)
                for way, (_, weights) in WAYS.items()
            }
    return {
        "command": "python experiments/label_sweep.py",
        "flags": [*shared, *vit],
        "cnn": arguments.cnn,
        "versions": read_versions(one),
        "labels_per_class": results,
    }


def table(result):
    """Returns the result as a Markdown table: means and deviations over seeds."""
    lines = ["| labels a class | network | " + " | ".join(MEASURES.values()) + " |"]
    lines.append("|---|---|" + "---|" * len(MEASURES))
    for labels, seeds in result["labels_per_class"].items():
        for way, (title, _) in WAYS.items():
            cells = [
                spread([seed[way][name] for seed in seeds.values()])
                for name in MEASURES
            ]
            lines.append(f"| {labels} | {title} | " + " | ".join(cells) + " |")
    return "\n".join(lines)


def main():
    """Measures, writes the result and prints the table."""
    parser = argparse.ArgumentParser(
        description=__doc__.splitlines()[0],
        epilog="All other flags are handed to main.py.",
    )
    parser.add_argument("--flagfile", required=True, help="of the ViT and its stages")
    parser.add_argument("--labels_per_class", default="1,5,10")
    parser.add_argument("--seeds", default="0,1,2")
    parser.add_argument(
        "--cnn", default="--backbone=convnext_tiny", help="flags of the other network"
    )
    parser.add_argument(
        "--cnn_from_scratch",
        action="store_true",
        help="let the CNN start without weights where the ViT has some",
    )
    parser.add_argument("--workdir", default="runs/label_sweep")
    parser.add_argument("--result", default=RESULTS / "label_sweep.json")
    arguments, flags = parser.parse_known_args()
    path = pathlib.Path(arguments.result)
    write_json(path, measure(arguments, flags))
    print(table(json.loads(path.read_text())))


if __name__ == "__main__":
    main()
