"""The kind of stage in which a generator makes images of each class."""

import math
import time

import numpy as np

from semivit_tf.config.settings import InputError
from semivit_tf.data.class_folders import write_class_folders
from semivit_tf.diffusion.sampling import sample
from semivit_tf.stages.failures import input_errors
from semivit_tf.stages.generator import Generator
from semivit_tf.stages.generator_latents import latents_of
from semivit_tf.stages.stage import Kind
from semivit_tf.stages.starting_weights import handed_on
from semivit_tf.training.pictures import in_rows, write_picture
from semivit_tf.training.progress import clock
from semivit_tf.training.weight_files import load_weights
from semivit_tf.whole_file import whole_path

_SHARD = 1024  # images of a file, at least
_SHOWN = 8  # images of a class in the picture


class Generate(Kind):
    """Writes equally many images of each class, in files that appear one by one.

    An image depends on the run's seed and its position alone, so that a run that was
    stopped goes on with the next file.
    """

    def check(self, run, stage):
        settings = run.settings(stage)
        dropout = run.settings(generator_of(run, stage)).label_dropout
        if settings.guidance and not dropout:
            raise InputError(
                f"--{settings.flag('guidance')} should be 0 where the generator has no "
                f"label dropout. Received: {settings.guidance}"
            )
        return run

    def carry_out(self, run, stage):
        if not run.did_before(stage):
            self.generate(run, stage)
        write_folders(run, stage)

    def generate(self, run, stage):
        """Makes the images that are not there yet, and finishes the stage."""
        folder, settings = run.stage_folder(stage), run.settings(stage)
        total = settings.images_per_class * run.num_classes
        files = shards(folder.path, total, settings.batch_size)
        make_missing(run, stage, files, total)
        draw_classes(folder.path, run.num_classes)
        folder.finish(
            started_from=generator_of(run, stage).name,
            images=total,
            images_per_class=settings.images_per_class,
            guidance=settings.guidance,
            solver=settings.solver,
            steps=settings.steps,
            seed=run.config.run.seed,
        )
        run.say(f"{stage.name}: {total} images, {settings.images_per_class} of a class")


def generator_of(run, stage):
    """Returns the stage whose network generates."""
    return next(
        earlier
        for earlier in run.pipeline
        if earlier.name in stage.needs and isinstance(earlier.kind, Generator)
    )


def generating(run, stage):
    """Returns the stage whose images a stage needs."""
    return next(
        earlier
        for earlier in run.pipeline
        if earlier.name in stage.needs and isinstance(earlier.kind, Generate)
    )


def shards(folder, total, batch_size):
    """Returns a dict of path to the positions of the images in the file."""
    size = math.ceil(_SHARD / batch_size) * batch_size
    starts = range(0, total, size)
    return {
        folder / f"images-{number:05}.npz": range(start, min(start + size, total))
        for number, start in enumerate(starts)
    }


def make_missing(run, stage, files, total):
    """Generates the images of the files that are not there yet."""
    missing = {path: places for path, places in files.items() if not path.exists()}
    if not missing:
        return
    settings, seed = run.settings(stage), run.config.run.seed
    denoiser = loaded_denoiser(run, stage)
    latents = latents_of(run.settings(generator_of(run, stage)))
    began, made = time.monotonic(), 0
    for path, places in missing.items():
        # Of each class in turn.
        labels = np.array(places) % run.num_classes
        images = sample(
            denoiser,
            labels,
            settings.steps,
            settings.guidance,
            seed,
            solver=settings.solver,
            batch_size=settings.batch_size,
            first=places.start,
            decode=latents and latents.decode,
        )
        content = {"images": images, "labels": labels, "positions": np.array(places)}
        with whole_path(path) as aside, open(aside, "wb") as file:
            np.savez(file, seed=seed, **content)
        made += len(places)
        left = sum(map(len, missing.values())) - made
        seconds = (time.monotonic() - began) / made * left
        if left:
            run.say(f"{stage.name}: {places.stop} of {total}, {clock(seconds)} left")


def loaded_denoiser(run, stage):
    """Returns the trained `Denoiser` that a stage generates with."""
    generator = generator_of(run, stage)
    with input_errors():
        denoiser = generator.kind.network(run, generator)
    load_weights(denoiser.teacher, handed_on(run, generator, "teacher"))
    return denoiser


def draw_classes(folder, num_classes):
    """Draws the first images of each class, a row each, in `pictures/classes.png`."""
    images, _ = read_images(folder)
    columns = min(len(images) // num_classes, _SHOWN)
    if columns:
        picture = in_rows(images[: columns * num_classes], num_classes)
        write_picture(folder / "pictures" / "classes.png", picture)


def write_folders(run, stage):
    """Writes the images as PNG files, too, if that is asked for and not done."""
    folder = run.stage_folder(stage).path
    if run.settings(stage).folders and not (folder / "folders").exists():
        made = read_images(folder)
        write_class_folders(folder / "folders", *made, run.data.class_names)
        run.say(f"{stage.name}: PNG files in {folder / 'folders'}")


def read_images(folder):
    """Returns the images `[M, H, W, C]` and classes `[M]` of a finished stage."""
    images, labels = [], []
    for path in sorted(folder.glob("images-*.npz")):
        with np.load(path) as content:
            images.append(content["images"])
            labels.append(content["labels"])
    if not images:
        return np.empty((0,)), np.empty((0,), "int32")
    return np.concatenate(images), np.concatenate(labels)
