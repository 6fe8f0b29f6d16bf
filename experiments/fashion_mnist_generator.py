"""How good are generated Fashion-MNIST images, by updates and by guidance?

    python experiments/fashion_mnist_generator.py

The generator of experiments/fashion_mnist_dpt_100_labels.flags learns all 60,000
training images with their true labels, for 1, 2, 4, 8 and 16 epochs, each time from
scratch: about two hours on one processor core. A judge, a plain CNN that learned the
same labels, says how often it sees the class that an image was made for, and its
features how far the images are from test images (FD-cnn, which is no FID). Goes on from
what is in the folder and in the result. Writes
experiments/results/fashion_mnist_generator.json, a plot and a grid into docs/pictures/,
and prints the table made from the result.
"""

import argparse
import json
import pathlib
import sys

import numpy as np
from campaign import RESULTS, ROOT, read_versions, write_json

sys.path.insert(0, str(ROOT))

COMMAND = "python experiments/fashion_mnist_generator.py"
RESULT = RESULTS / "fashion_mnist_generator.json"
PICTURES = ROOT / "docs" / "pictures"
FLAGFILE = ROOT / "experiments" / "fashion_mnist_dpt_100_labels.flags"
EPOCHS = 1, 2, 4, 8, 16
GUIDANCES = 0.0, 0.4, 1.5, 3.0
IMAGES_PER_CLASS = 100
SHOWN = 10  # images of a class in the grid


def config_of(workdir, epochs):
    """Returns the settings of a generator that learns for so many epochs."""
    from semivit_tf.cli import parse

    own = [f"--generator_epochs={epochs}", f"--workdir={workdir}", "--deterministic"]
    return parse(["main.py", f"--flagfile={FLAGFILE}", *own])


def as_evaluated(run):
    """Returns the data of the generator: all true labels, images as they are."""
    from semivit_tf.stages.judge import with_true_labels
    from semivit_tf.stages.run_data import dataset_of

    data = with_true_labels(run)
    return dataset_of(run.config, data.parts, data.split, augmentation="none")


def trained(workdir, epochs):
    """Trains the generator and the judge, or finds them; returns them and the data."""
    from semivit_tf.stages.generate import Generate, loaded_denoiser
    from semivit_tf.stages.generator import Generator
    from semivit_tf.stages.judge import Judge, with_true_labels
    from semivit_tf.stages.judged_images import Sight
    from semivit_tf.stages.pipeline import run_pipeline
    from semivit_tf.stages.stage import Stage
    from semivit_tf.stages.training import TrainingKind
    from semivit_tf.training.weight_files import load_weights

    class Trained(Judge):
        carry_out = TrainingKind.carry_out  # what it judges is asked for below

    generator = Stage("generator", Generator(), "generator", data=as_evaluated)
    judge = Stage("judge", Trained(), "judge", data=with_true_labels)
    stages = (judge,) if epochs is None else (generator,)
    config = config_of(workdir, epochs or 1)
    run = run_pipeline(config, [COMMAND], pipeline=stages).at(stages[0])
    if epochs is None:
        network = judge.kind.network(run, judge)
        load_weights(network, run.stage_folder(judge).weights("student"))
        return Sight(network), run.data
    generate = Stage("generate", Generate(), "generate", needs=("generator",))
    return loaded_denoiser(run, generate), run.data


def generated(denoiser, guidance, settings, images_per_class):
    """Returns images of all classes in turn, and their classes."""
    from semivit_tf.diffusion import sample

    labels = np.arange(images_per_class * denoiser.num_classes) % denoiser.num_classes
    options = {"solver": settings.solver, "batch_size": 100}
    return sample(denoiser, labels, settings.steps, guidance, **options), labels


def measure(folder, result, epochs, images_per_class):
    """Measures what is not in a result yet; yields it after each addition.

    Args:
        folder: Path of the runs.
        result: Dict that is added to.
        epochs: Sequence of integers.
        images_per_class: Integer.
    """
    from semivit_tf.evaluation.generated_images import compare_features
    from semivit_tf.stages.judged_images import noise_like
    from semivit_tf.training.pictures import in_rows, write_picture

    sight, data = trained(folder / "judge", None)
    settings = config_of(folder, 1).generate
    real, seen, truth = sight.of_batches(data.test())
    result["versions"] = read_versions(folder / "judge")
    result["judge"] = {"accuracy": float(np.mean(seen == truth))}
    count = images_per_class * len(data.class_names)
    some = np.random.default_rng(0).permutation(len(data.parts.train))[:count]
    training, _, _ = sight.of_batches(data.as_evaluated(np.sort(some)))
    noise, _ = sight.of_images(noise_like(data.parts.train.images[:count]))
    result["training"] = compare_features(training, real)
    result["noise"] = compare_features(noise, real)
    for number in epochs:
        rows = result["epochs"].setdefault(str(number), {})
        missing = [one for one in GUIDANCES if str(one) not in rows]
        if missing:
            denoiser, learned = trained(folder / f"epochs{number}", number)
            batch = config_of(folder, number).generator.batch_size
            result["steps"][str(number)] = number * (
                len(learned.split.labeled) // batch
            )
        for guidance in missing:
            images, labels = generated(denoiser, guidance, settings, images_per_class)
            features, judged = sight.of_images(images)
            agreement = float(np.mean(judged == labels))
            found = {"agreement": agreement, **compare_features(features, real)}
            rows[str(guidance)] = found
            grid = in_rows(
                images[: SHOWN * len(data.class_names)], len(data.class_names)
            )
            write_picture(folder / f"epochs{number}" / f"grid-{guidance}.png", grid)
            yield result


def table(result):
    """Returns the result as a Markdown table."""
    guidances = [str(one) for one in GUIDANCES]
    lines = [
        "| updates | "
        + " | ".join(f"agreement at {one}" for one in guidances)
        + " | "
        + " | ".join(f"FD-cnn at {one}" for one in guidances)
        + " |",
        "|" + "---|" * (1 + 2 * len(guidances)),
    ]
    for number, rows in result["epochs"].items():
        found = [rows[one] for one in guidances if one in rows]
        cells = [f"{100 * one['agreement']:.1f} %" for one in found]
        cells += [f"{one['frechet_distance']:.1f}" for one in found]
        steps = result["steps"][number]
        lines.append(f"| {steps:,} | " + " | ".join(cells) + " |")
    judge, images = result["judge"]["accuracy"], result["noise"]["images"]
    return "\n".join(
        [
            *lines,
            "",
            f"{images:,} images each. The judge is right on {100 * judge:.1f} % of the "
            f"test images. FD-cnn of training images "
            f"{result['training']['frechet_distance']:.1f}, of noise "
            f"{result['noise']['frechet_distance']:.1f}.",
        ]
    )


def plot(result, path):
    """Draws agreement and distance over updates, a line for each guidance."""
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot

    figure, axes = pyplot.subplots(1, 2, figsize=(9, 3.5), layout="constrained")
    for axis, name, title in zip(
        axes,
        ("agreement", "frechet_distance"),
        ("label agreement", "FD-cnn to test images"),
        strict=True,
    ):
        for guidance in map(str, GUIDANCES):
            known = {
                n: rows for n, rows in result["epochs"].items() if guidance in rows
            }
            steps = [result["steps"][number] for number in known]
            values = [rows[guidance][name] for rows in known.values()]
            axis.plot(steps, values, marker="o", label=f"guidance {guidance}")
        axis.set(xscale="log", xlabel="updates", ylabel=title)
        measured = sorted(result["steps"].values())
        axis.set_xticks(measured, [f"{number:,}" for number in measured])
        axis.set_xticks([], minor=True)
        axis.grid(alpha=0.3)
    axes[0].axhline(result["judge"]["accuracy"], color="grey", linestyle=":")
    axes[0].legend()
    path.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(path, dpi=100, metadata={"Software": None})
    pyplot.close(figure)


def main():
    """Measures, draws, and prints the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--workdir", default="runs/fashion_mnist_generator")
    parser.add_argument("--table", action="store_true", help="print the table only")
    parser.add_argument("--epochs", default=",".join(map(str, EPOCHS)))
    parser.add_argument("--images_per_class", type=int, default=IMAGES_PER_CLASS)
    parser.add_argument("--result", default=str(RESULT))
    parser.add_argument("--pictures", default=str(PICTURES))
    given = parser.parse_args()
    file, epochs = pathlib.Path(given.result), given.epochs.split(",")
    if not given.table:
        result = {"command": COMMAND, "epochs": {}, "steps": {}}
        if file.exists():
            result = json.loads(file.read_text())
        folder, pictures = (
            pathlib.Path(path).resolve() for path in (given.workdir, given.pictures)
        )
        numbers = [int(number) for number in epochs]
        for found in measure(folder, result, numbers, given.images_per_class):
            write_json(file, found)
        plot(result, pictures / "fashion_mnist_generator.png")
        best = max(GUIDANCES, key=lambda one: agreement_at(result, epochs[-1], one))
        grid = folder / f"epochs{epochs[-1]}" / f"grid-{best}.png"
        (pictures / "fashion_mnist_generated.png").write_bytes(grid.read_bytes())
    print(table(json.loads(file.read_text())))


def agreement_at(result, epochs, guidance):
    """Returns the share of images that the judge agrees with."""
    return result["epochs"][epochs][str(guidance)]["agreement"]


if __name__ == "__main__":
    main()
