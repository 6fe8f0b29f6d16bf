"""What a trained judge says of generated images: numbers, in a file, and pictures."""

import numpy as np
import tensorflow as tf

from semivit_tf.diffusion.sampling import as_pixels, sample
from semivit_tf.evaluation.generated_images import (
    compare_features,
    label_agreement,
    nearness,
)
from semivit_tf.evaluation.interval import in_percent, share_interval
from semivit_tf.evaluation.metrics import class_rows
from semivit_tf.evaluation.tables import text_table
from semivit_tf.stages.generate import generating, loaded_denoiser, read_images
from semivit_tf.stages.held_out import held_out
from semivit_tf.stages.pseudo_label import FILE, PseudoLabel, read_labels
from semivit_tf.stages.result_file import (
    DamagedResultError,
    read_result,
    write_result,
)
from semivit_tf.training.pictures import in_rows, stacked, write_picture
from semivit_tf.training.weight_files import load_weights

_ROWS = 20  # classes in a picture, at most
_NEAREST = 24  # generated images beside their nearest training images, at most
_NEIGHBORS = 3
_GUIDANCES = 0.0, 1.0, 2.0
_SOLVERS = "ddim", "dpm_solver_2", "ancestral"
_CHUNK = 256


def judge_images(run, stage):
    """Returns what is in the stage's JSON file, and makes it and the pictures first.

    Args:
        run: `Run` with the judge's data.
        stage: `Stage` whose judge is trained.
    """
    file, content = run.folder.path / f"{stage.name}.json", None
    try:
        content = read_result(file)
    except DamagedResultError as error:
        run.say(f"{error}: measured again")
    if content is None:
        images, labels = read_images(run.stage_folder(generating(run, stage)).path)
        content = {"images": len(images)}
        if len(images):
            content |= measured(run, stage, images, labels)
            draw_samples(run, stage)
        write_result(file, content)
    return content


class Sight:
    """A judge's features and answers.

    Args:
        network: `Classifier` with weights.
    """

    def __init__(self, network):
        @tf.function(reduce_retracing=True)
        def see(images):
            features = network.backbone(images, training=False)
            return features, tf.argmax(network.head(features), axis=1)

        self.see = see

    def of_batches(self, batches):
        """Returns features `[N, D]`, classes seen `[N]` and labels `[N]`."""
        rows = [(*self.see(images), labels) for images, labels in batches]
        parts = [np.concatenate(part) for part in zip(*rows, strict=True)]
        return parts[0].astype("float32"), *parts[1:]

    def of_images(self, images):
        """Returns features and classes seen of an array of images `[N, H, W, C]`."""
        starts = range(0, len(images), _CHUNK)
        chunks = (images[start : start + _CHUNK] for start in starts)
        return self.of_batches((chunk, chunk[:, 0, 0, 0]) for chunk in chunks)[:2]


def measured(run, stage, images, labels):
    """Returns all numbers about generated images, and draws the nearest real ones."""
    network = stage.kind.network(run, stage)
    folder, names = run.stage_folder(stage), run.data.class_names
    load_weights(network, folder.weights("student"))
    sight = Sight(network)
    features, judged = sight.of_images(images)
    trained = run.data.image_indices
    training, _, _ = sight.of_batches(run.data.as_evaluated(trained))
    part, batches = held_out(run)
    judge = {"network": network.backbone.name, "labels": len(run.data.split.labeled)}
    real, reference = training, None
    if part is not None:
        reference, seen, truth = sight.of_batches(batches)
        accuracy = float(np.mean(seen == truth))
        judge |= {
            "part": part,
            "images": len(truth),
            "accuracy": accuracy,
            "accuracy_interval": list(share_interval(accuracy, len(truth))),
        }
        real = reference
    count = min(_NEIGHBORS, len(training))
    near, places = nearness(features, reference, training, count)
    draw_nearest(run, stage, images, trained[places])
    content = {
        "judged_by": judge,
        **label_agreement(labels, judged, names),
        "compared_with": part or "training",
        "generated": compare_features(features, real),
        "noise": compare_features(sight.of_images(noise_like(images))[0], real),
        "nearest_training_image": near,
    }
    if part is not None:
        order = np.random.default_rng(run.config.run.seed).permutation(len(training))
        some = training[order[: len(images)]]
        content["training"] = compare_features(some, real)
    pseudo = pseudo_label_rows(run, stage)
    return content if pseudo is None else {**content, "pseudo_labels": pseudo}


def noise_like(images):
    """Returns images of noise, as a generator starts from."""
    draw = np.random.default_rng(0).standard_normal
    chunks = [draw((1, *images.shape[1:]), "float32") for _ in images]
    return as_pixels(np.concatenate(chunks))


def pseudo_label_rows(run, stage):
    """Returns precision and recall of the pseudo labels of each class.

    They are of all images whose class is known; None where nothing was labelled.
    """
    for earlier in run.pipeline:
        if earlier.name in stage.needs and isinstance(earlier.kind, PseudoLabel):
            truth = run.data.parts.train.labels
            file = run.stage_folder(earlier).path / FILE
            indices, labels = read_labels(file, len(truth))
            known = indices[truth[indices] >= 0]
            return class_rows(truth[known], labels[known], run.data.class_names)
    return None


# === Pictures ===


def draw_nearest(run, stage, images, places):
    """Draws generated images, each beside its nearest training images.

    Args:
        run: `Run`.
        stage: `Stage`.
        images: uint8 array `[M, H, W, C]`.
        places: Integer array `[N, count]`: the nearest training images of the first
            ones.
    """
    shown = min(_NEAREST, len(places))
    batches = run.data.as_evaluated(places[:shown].ravel())
    real = np.concatenate([np.asarray(images) for images, _ in batches])
    real = np.rint(real).clip(0, 255).astype("uint8")
    real = real.reshape(shown, -1, *real.shape[1:])
    rows = np.concatenate([images[:shown], *real.swapaxes(0, 1)], axis=2)
    path = run.stage_folder(stage).path / "pictures" / "nearest.png"
    write_picture(path, stacked(rows, images.shape[2]))


def draw_samples(run, stage):
    """Draws the same images by other guidance and by other solvers."""
    generate, columns = generating(run, stage), run.settings(stage).images_per_class
    settings = run.settings(generate)
    usual = {"guidance": settings.guidance, "solver": settings.solver}
    denoiser = loaded_denoiser(run, generate)
    ways = [{**usual, "solver": solver} for solver in _SOLVERS]
    if denoiser.knows_no_class:
        ways = [{**usual, "guidance": guidance} for guidance in _GUIDANCES] + ways
    rows = min(run.num_classes, _ROWS)
    for way in ways if columns else ():
        name = f"{way['solver']}-guidance-{way['guidance']:g}.png"
        path = run.stage_folder(stage).path / "pictures" / name
        if path.exists():
            continue
        images = sample(
            denoiser,
            np.arange(columns * rows) % rows,
            settings.steps,
            way["guidance"],
            run.config.run.seed,
            solver=way["solver"],
            batch_size=settings.batch_size,
        )
        write_picture(path, in_rows(images, rows))


# === For people ===


def describe(content):
    """Returns what a person should read of it."""
    if not content["images"]:
        return "No generated images: nothing is judged."
    judge = content["judged_by"]
    known = "of unknown accuracy, because there are no images to test it on"
    if "accuracy" in judge:
        accuracy = in_percent(judge["accuracy"], judge["images"])
        known = f"which is right on {accuracy} of the {judge['part']} images"
    agrees = in_percent(content["agreement"], content["images"])
    lines = [
        f"A judge ({judge['network']}, {judge['labels']} true labels), {known}, sees "
        f"the class they were made for in {agrees} of {content['images']} generated "
        "images."
    ]
    compared = {name: content.get(name) for name in ("generated", "training", "noise")}
    rows = [
        (
            f"{name} images",
            f"{found['frechet_distance']:.1f}",
            f"{found['precision']:.3f}",
            f"{found['recall']:.3f}",
        )
        for name, found in compared.items()
        if found
    ]
    if rows:
        header = f"Frechet distance ({judge['network']})", "precision", "recall"
        part = content["compared_with"]
        lines += ["", text_table((f"against {part} images", *header), rows)]
    return "\n".join(lines)
