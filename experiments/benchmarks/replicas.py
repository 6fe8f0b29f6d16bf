"""How many images a second does a step take on one replica, on two, and so on?

    python experiments/benchmarks/replicas.py

A step of stage 3 with ViT-S/16 at 224 pixels on 4 labelled and 20 unlabelled images,
all of which count, spread by `--strategy=mirrored`. Replicas are GPUs where there are
any. Else they are parts of the processor (`--logical_cpus`), which share its cores:
images a second can stay what they are at best, and what is missing is the cost of the
strategy. Writes experiments/results/replicas.json and prints the table made from it.
"""

import argparse
import json
import os
import statistics
import sys

from semi_step import BATCH, UNLABELED, create_ours, our_batch
from turns import ROOT, measure_all, versions, work

sys.path.insert(0, str(ROOT))

RESULT = ROOT / "experiments" / "results" / "replicas.json"
COMMAND = "python experiments/benchmarks/replicas.py"
COUNTS = (1, 2, 4)  # of which each divides the batch
SECONDS, ROUNDS = 10.0, 3


def gpus():
    """Returns how many GPUs there are."""
    import tensorflow as tf

    return len(tf.config.list_physical_devices("GPU"))


def create_steps(count):
    """Returns a function that takes a number of steps on so many replicas."""
    if "CUDA_VISIBLE_DEVICES" not in os.environ:
        os.environ["CUDA_VISIBLE_DEVICES"] = ",".join(map(str, range(count)))
    import tensorflow as tf

    from semivit_tf.methods.ema_teacher import EMATeacher
    from semivit_tf.training.distribution import create_strategy
    from semivit_tf.training.optimizers import layer_wise_adamw

    strategy = create_strategy("mirrored", 1 if gpus() else count)
    with strategy.scope():
        model = create_ours("float32", UNLABELED // count)
        model.compile(layer_wise_adamw(model, 1e-4), jit_compile=False)
        model.optimizer.build(model.trainable_variables)
    EMATeacher(0.9999).set_model(model)
    model.make_train_function()
    data = tf.data.Dataset.from_tensors(our_batch()).repeat()
    iterator = iter(strategy.experimental_distribute_dataset(data))

    def take(steps):
        for _ in range(steps):
            logs = model.train_function(iterator)
        return float(logs["loss"])

    return take


def table(result):
    """Returns the result as a Markdown table."""
    lines = [
        f"| replicas ({result['device']}) | images/s | against one replica |",
        "|---|---|---|",
    ]
    speeds = {way: v["images_per_second"] for way, v in result["rounds"].items()}
    first = next(iter(speeds.values()))
    for way, values in speeds.items():
        ratios = [now / before for now, before in zip(values, first, strict=True)]
        count, speed = way.split()[1], statistics.median(values)
        lines.append(f"| {count} | {speed:.2f} | {statistics.median(ratios):.2f} x |")
    return "\n".join(lines)


def measure():
    """Measures all counts in turn."""
    found, cores = gpus(), os.cpu_count()
    ways = [f"replicas {count}" for count in COUNTS if count <= (found or cores)]
    rounds = measure_all(__file__, ways, {"replicas": sys.executable}, SECONDS, ROUNDS)
    return {
        "command": COMMAND,
        "device": f"{found} GPUs" if found else f"parts of {cores} cores",
        "rounds": rounds,
        "versions": versions("ours"),
    }


def main():
    """Measures, writes the result and prints the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--table", action="store_true", help="print the table only")
    parser.add_argument("--way", help=argparse.SUPPRESS)
    parser.add_argument("--seconds", type=float, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.way:
        take = create_steps(int(arguments.way.split()[1]))
        print(json.dumps(work(take, BATCH, arguments.seconds)))
        return
    if not arguments.table:
        RESULT.parent.mkdir(parents=True, exist_ok=True)
        RESULT.write_text(json.dumps(measure(), indent=2) + "\n")
    print(table(json.loads(RESULT.read_text())))


if __name__ == "__main__":
    main()
