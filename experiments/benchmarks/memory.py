"""Does a run take as much memory as is planned?

    python experiments/benchmarks/memory.py

Two steps of each training stage, each in a process of its own, on images of noise: of
ViT-S/16 at 224 pixels in the batches of the defaults, which --memory_limit=8g cuts into
micro-batches, and some of other networks. Memory is the most that the process
held, TensorFlow and tracing included. Writes experiments/results/memory.json and prints
the table made from it; --ways measures some, and keeps what is known of the others.
"""

import argparse
import json
import os
import pathlib
import re
import subprocess
import sys
import tempfile

from turns import ROOT, processor_name, random_images

RESULT = ROOT / "experiments" / "results" / "memory.json"
COMMAND = "python experiments/benchmarks/memory.py"
IMAGES, CLASSES = 240, 10
VIT_S = ["--image_size=224", "--backbone=vit_small_patch16", "--memory_limit=8g"]
SMALL = ["--image_size=64", "--backbone=vit", "--patch_size=8", "--width=96"]
SMALL += ["--depth=6", "--heads=4"]
CONVNEXT = ["--image_size=224", "--backbone=convnext_tiny", "--memory_limit=8g"]
RESNET = ["--image_size=224", "--backbone=keras_applications:ResNet50V2"]
RESNET += ["--memory_limit=8g"]
# Of each way the side of its images, the stage and flags.
WAYS = {
    "ViT-S/16, MAE": ("pretrain", VIT_S),
    "ViT-S/16, DINO, 16 images": (
        "pretrain",
        [*VIT_S, "--pretrain_method=dino", "--pretrain_batch_size=16"],
    ),
    "ViT-S/16, fine-tuning": ("finetune", VIT_S),
    "ViT-S/16, fine-tuning by XLA": ("finetune", [*VIT_S, "--xla=on"]),
    "ViT-S/16, fine-tuning, whole batch": (
        "finetune",
        [*VIT_S[:2], "--finetune_batch_parts=1"],
    ),
    "ViT-S/16, Semi-ViT": ("semi_finetune", VIT_S),
    "ConvNeXt-T, fine-tuning": ("finetune", CONVNEXT),
    "ResNet-50, fine-tuning": ("finetune", RESNET),
    "ViT of 0.7 M weights at 64 pixels, MAE": ("pretrain", SMALL),
    "ViT of 0.7 M weights at 64 pixels, Semi-ViT": ("semi_finetune", SMALL),
}
GROUPS = {"pretrain": "pretrain", "finetune": "finetune", "semi_finetune": "semi"}
# All pseudo labels count: no image is left out.
COUNTING = ["--semi_from_scratch", "--semi_threshold=0"]


def flags_of(way, folder):
    """Returns the flags of a run."""
    stage, own = WAYS[way]
    group = GROUPS[stage]
    return [
        *("--dataset=npz", f"--data_dir={folder / 'noise.npz'}"),
        f"--labels_per_class={IMAGES // CLASSES // 6}",
        *(f"--stages={stage}", f"--workdir={folder / 'run'}"),
        *(f"--{group}_epochs=1", f"--{group}_steps_per_epoch=2"),
        *(COUNTING if stage == "semi_finetune" else []),
        *own,
    ]


def write_images(way, folder):
    """Writes noise with labels, as large as a way wants it."""
    import numpy as np

    _, (size, *_) = WAYS[way]
    side = int(size.partition("=")[2])
    labels = np.arange(IMAGES) % CLASSES
    images = random_images(IMAGES, side, side, 3)
    np.savez(folder / "noise.npz", x_train=images, y_train=labels)


def measure(way, folder):
    """Runs a stage; returns the bytes that were planned and those that were taken."""
    sys.path.insert(0, str(ROOT))
    from semivit_tf.cli import parse
    from semivit_tf.stages.pipeline import prepare, run_pipeline

    config = parse(["main.py", *flags_of(way, folder)])
    run = prepare(config)
    (stage,) = run.wanted
    settings = run.settings(stage)
    planned = run.needs[stage.name].bytes(settings.batch_parts, config.run.precision)
    free = config.run.memory_limit_bytes()
    run_pipeline(config, ["memory.py"], say=lambda text: None)
    return {
        "micro_batches": settings.batch_parts,
        "planned_bytes": planned,
        "limit_bytes": free,
        "peak_bytes": peak_bytes(),
    }


def peak_bytes():
    """Returns the most memory that this process has held (Linux)."""
    # `getrusage` may count the process that started this one.
    status = pathlib.Path("/proc/self/status").read_text()
    return int(re.search(r"VmHWM:\s*(\d+) kB", status)[1]) * 1024


def ask(way):
    """Measures in a process of its own."""
    command = [sys.executable, __file__, f"--way={way}"]
    answer = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True)
    return json.loads(answer.stdout.splitlines()[-1])


def table(result):
    """Returns the result as a Markdown table."""
    lines = [
        "| two steps | micro-batches | planned | peak memory | planned / peak |",
        "|---|---|---|---|---|",
    ]
    for way, found in result["ways"].items():
        planned, peak = found["planned_bytes"], found["peak_bytes"]
        cells = [way, str(found["micro_batches"]), f"{planned / 1e9:.2f} GB"]
        cells += [f"{peak / 1e9:.2f} GB", f"{planned / peak:.2f}"]
        lines.append("| " + " | ".join(cells) + " |")
    return "\n".join([*lines, "", f"Processor: {result['processor']}."])


def main():
    """Measures and writes the result."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--table", action="store_true", help="print the table only")
    parser.add_argument("--ways", default=";".join(WAYS), help="separated by ;")
    parser.add_argument("--way", help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.way:
        with tempfile.TemporaryDirectory() as folder:
            write_images(arguments.way, pathlib.Path(folder))
            print(json.dumps(measure(arguments.way, pathlib.Path(folder))))
        return
    if not arguments.table:
        known = json.loads(RESULT.read_text())["ways"] if RESULT.exists() else {}
        for way in arguments.ways.split(";"):
            known[way] = ask(way)
            print(way, known[way], file=sys.stderr, flush=True)
            result = {
                "command": COMMAND,
                "ways": {way: known[way] for way in WAYS if way in known},
                "processor": processor_name(),
                "processors": os.cpu_count(),
            }
            RESULT.write_text(json.dumps(result, indent=2) + "\n")
    print(table(json.loads(RESULT.read_text())))


if __name__ == "__main__":
    main()
