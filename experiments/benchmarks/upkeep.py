"""What do the teacher, the checkpoints and the input pipeline cost a run?

    python experiments/benchmarks/upkeep.py

A stage-3 step of ViT-S/16 at 224 pixels, on 4 labelled and 20 unlabelled images that
all count, and its teacher's moving average alone, in turn; one checkpoint of it,
against five minutes; and how long the steps of the quickstart's stage 3 wait for the
next batch.
Shares are of the time of a step, or of a run. Writes experiments/results/upkeep.json
and prints the table made from it.
"""

import argparse
import json
import os
import pathlib
import statistics
import sys
import tempfile
import time

ROOT = pathlib.Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT))

COMMAND = "python experiments/benchmarks/upkeep.py"
RESULT = ROOT / "experiments" / "results" / "upkeep.json"
ROUNDS = 9
QUICK_STEPS = 400
CHECKPOINT_SECONDS = 300
TITLES = {
    "teacher": ("moving average of the teacher, ViT-S", "a step"),
    "checkpoints": ("a checkpoint every 5 minutes, ViT-S", "a run"),
    "data": ("waiting for data, stage 3 of the quickstart", "a step"),
}


def create_step():
    """Returns a method with ViT-S and a function that takes a step."""
    import numpy as np
    import tensorflow as tf

    from semivit_tf.backbones import create_backbone
    from semivit_tf.methods.ema_teacher import EMATeacher
    from semivit_tf.methods.semi_vit import SemiViT
    from semivit_tf.training.optimizers import layer_wise_adamw

    model = SemiViT(create_backbone("vit_small_patch16"), 1000, threshold=0.0)
    model.compile(layer_wise_adamw(model, 1e-4, layer_decay=0.75), jit_compile=False)
    model.optimizer.build(model.trainable_variables)
    EMATeacher(0.9999).set_model(model)
    step = tf.function(model.train_step)
    generator = np.random.default_rng(0)

    def images(count):
        pixels = generator.integers(0, 256, (count, 224, 224, 3), "uint8")
        return tf.constant(pixels)

    views = {"image": images(4), "weak": images(20), "strong": images(20)}
    labels = tf.constant(generator.integers(0, 1000, 4))
    return model, lambda: float(step((views, labels))["loss"])


def seconds_of(act):
    """Returns how long it takes."""
    start = time.perf_counter()
    act()
    return time.perf_counter() - start


def measure_vit():
    """Returns the shares of the teacher and of checkpoints."""
    import tensorflow as tf

    from semivit_tf.training.checkpoints import Checkpoints, Position

    model, step = create_step()
    follow = tf.function(lambda: model.after_update(tf.constant(1.0)))
    for act in (step, follow) * 2:
        act()  # traces and fills caches
    rounds = [(seconds_of(follow), seconds_of(step)) for _ in range(ROUNDS)]
    with tempfile.TemporaryDirectory() as folder:
        checkpoints = Checkpoints(folder)
        saved = seconds_of(lambda: checkpoints.save(model, Position(0, 1)))
    return {
        "teacher": statistics.median(one / whole for one, whole in rounds),
        "checkpoints": saved / CHECKPOINT_SECONDS,
        "teacher_and_step_seconds": [list(pair) for pair in rounds],
        "checkpoint_seconds": saved,
    }


def measure_quickstart():
    """Returns the share of waiting for data."""
    import keras
    import tensorflow as tf

    from semivit_tf.cli import parse
    from semivit_tf.methods.ema_teacher import EMATeacher
    from semivit_tf.stages.pipeline import prepare

    with tempfile.TemporaryDirectory() as folder:
        flags = [f"--flagfile={ROOT / 'experiments' / 'quickstart.flags'}"]
        run = prepare(parse(["main.py", *flags, f"--workdir={folder}/run"]))
    keras.utils.set_random_seed(0)
    (stage,) = (one for one in run.wanted if one.name == "semi_finetune")
    training = stage.kind.prepare(run, stage)
    model, stream = training.model, training.stream(0)
    model.optimizer.build(model.trainable_variables)
    for callback in training.callbacks:
        if isinstance(callback, EMATeacher):
            callback.set_model(model)
    step = tf.function(model.train_step, jit_compile=model.jit_compile)
    iterator = iter(stream)
    step(next(iterator))  # traces and compiles
    waited, start = 0.0, time.perf_counter()
    for _ in range(QUICK_STEPS):
        asked = time.perf_counter()
        batch = next(iterator)
        waited += time.perf_counter() - asked
        float(step(batch)["loss"])
    passed = time.perf_counter() - start
    return {"data": waited / passed, "quickstart_step_seconds": passed / QUICK_STEPS}


def table(result):
    """Returns the result as a Markdown table."""
    lines = ["| cost | share |", "|---|---|"]
    for name, (title, whole) in TITLES.items():
        lines.append(f"| {title} | {100 * result[name]:.1f} % of {whole} |")
    return "\n".join(lines)


def main():
    """Measures and writes the result."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--table", action="store_true", help="print the table only")
    arguments = parser.parse_args()
    if not arguments.table:
        result = {
            "command": COMMAND,
            **measure_quickstart(),
            **measure_vit(),
            "processors": os.cpu_count(),
        }
        RESULT.parent.mkdir(parents=True, exist_ok=True)
        RESULT.write_text(json.dumps(result, indent=2) + "\n")
    print(table(json.loads(RESULT.read_text())))


if __name__ == "__main__":
    main()
