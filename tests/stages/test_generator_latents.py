"""A generator learns latents in place of images, and images are made of them."""

import contextlib
import csv
import io
import json
import re

import keras
import numpy as np
import pytest

from semivit_tf.cli import parse
from semivit_tf.data.cached_moments import CachedMoments
from semivit_tf.data.digits import load_digits
from semivit_tf.diffusion import sample
from semivit_tf.stages import generator_latents
from semivit_tf.stages.generate import loaded_denoiser, read_images
from semivit_tf.stages.pipeline import prepare
from tests.stages.runs import DPT, TINY, error, run

STAGES = "--stages=finetune,pseudo_label,generator,generate"


def in_blocks(images):
    """Returns images `[B, 8, 8, 1]` as latents, a channel for each place of four."""
    rows = images.reshape(-1, 4, 2, 4, 2)
    return rows.transpose(0, 1, 3, 2, 4).reshape(-1, 4, 4, 4)


def network(shape, *layers):
    return keras.Sequential([keras.Input(shape), *layers])


@pytest.fixture(scope="module")
def coders(tmp_path_factory):
    """Files of an encoder that does as `in_blocks`, its inverse, and a wrong one."""
    folder, made = tmp_path_factory.mktemp("coders"), keras.layers
    networks = {
        "encoder": network(
            (8, 8, 1),
            made.Reshape((4, 2, 4, 2)),
            made.Permute((1, 3, 2, 4)),
            made.Reshape((4, 4, 4)),
        ),
        "decoder": network(
            (4, 4, 4),
            made.Reshape((4, 4, 2, 2)),
            made.Permute((1, 3, 2, 4)),
            made.Reshape((8, 8, 1)),
        ),
        "larger": network((4, 4, 4), made.UpSampling2D(4), made.Conv2D(1, 1)),
    }
    for name, one in networks.items():
        one.save(folder / f"{name}.keras")
    return folder


@pytest.fixture(scope="module")
def flags(coders):
    files = (
        f"--generator_{kind}={coders / kind}.keras" for kind in ("encoder", "decoder")
    )
    return [*DPT, *files, "--validation_per_class=1", STAGES]


@pytest.fixture(scope="module")
def finished(flags, tmp_path_factory):
    """The folder of a run, and what it said."""
    folder, said = tmp_path_factory.mktemp("latents") / "run", io.StringIO()
    with contextlib.redirect_stdout(said):
        assert run(*flags, f"--workdir={folder}") == 0
    return folder, said.getvalue()


@pytest.fixture
def at_generator(finished, flags):
    """A run and its stage, as the stage begins."""
    folder, _ = finished
    made = prepare(parse(["main.py", *TINY, *flags, f"--workdir={folder}"]))
    (stage,) = [stage for stage in made.wanted if stage.name == "generator"]
    return made.at(stage), stage


def test_images_are_made_of_latents_that_the_generator_draws(finished, at_generator):
    folder, _ = finished
    images, labels = read_images(folder / "generate")
    assert images.shape == (30, 8, 8, 1)
    made, generator = at_generator
    (stage,) = [stage for stage in made.wanted if stage.name == "generate"]
    denoiser = loaded_denoiser(made, stage)
    assert denoiser.image_shape == (4, 4, 4) and denoiser.latent_scale == 0.18215
    drawn = []
    sample(
        denoiser, labels, 2, 0.4, 0, batch_size=8, decode=lambda x: drawn.append(x) or x
    )
    latents = np.concatenate(drawn) / 0.18215
    pixels = (in_blocks(images.astype("float32")) - 127.5) / 127.5
    np.testing.assert_allclose(latents.clip(-1, 1), pixels, atol=0.5 / 127.5 + 1e-3)


def test_what_is_learned_are_latents_and_pseudo_labels(at_generator, finished):
    made, stage = at_generator
    latents = generator_latents.latents_of(made.settings(stage))
    generator_latents.keep_moments(made.quiet(), stage, latents)
    with open(finished[0] / "pseudo_label" / "labels.csv", encoding="utf-8") as file:
        rows = [(int(row["index"]), int(row["label"])) for row in csv.DictReader(file)]
    indices, labels = np.transpose(
        [row for row in rows if row[0] in made.data.image_indices]
    )
    expected = in_blocks(load_digits().train.images[indices] / 127.5 - 1)
    folder = generator_latents.moments_folder(made, stage)
    kept = CachedMoments(folder, labels)
    places = np.arange(len(labels))
    found = kept.read(places, np.zeros_like(places))
    np.testing.assert_allclose(found[..., :4], expected, atol=1e-6)
    np.testing.assert_array_equal(found[..., 4:], -30)  # the encoder knows no variance
    stream = generator_latents.stream_of_moments(made, stage, len(labels))
    moments, told = next(iter(stream(0)))
    # One pass over all, in another order; digits are not mirrored.
    order = np.lexsort(np.reshape(found, (len(found), -1)).T)
    mixed = np.lexsort(np.reshape(moments, (len(found), -1)).T)
    np.testing.assert_array_equal(moments.numpy()[mixed], found[order])
    assert sorted(told.numpy().tolist()) == sorted(labels.tolist())
    generator_latents.forget_moments(made, stage)
    assert not folder.exists()


def test_training_is_validated_on_latents_and_leaves_no_moments(finished):
    folder, _ = finished
    lines = (folder / "generator" / "metrics.jsonl").read_text().splitlines()
    last = json.loads(lines[-1])
    assert np.isfinite(last["val_teacher_loss"]) and last["step"] == 11
    assert not (folder / "generator" / "moments").exists()


def test_a_scale_that_does_not_fit_is_said(finished):
    _, said = finished
    assert "generator: latents of 1428 of 1428 images" in said
    (line,) = [line for line in said.splitlines() if "deviation of latents" in line]
    advised = float(re.search(r"--generator_latent_scale=([\d.]+)$", line)[1])
    deviation = np.std(load_digits().train.images[:256] / 127.5)
    assert advised == pytest.approx(1 / deviation, rel=0.05)


def test_a_plan_encodes_nothing(flags, tmp_path, capsys):
    stages = "--stages=finetune,pseudo_label,generator"
    assert run(*flags, stages, "--plan", f"--workdir={tmp_path / 'run'}") == 0
    assert re.search(r"^generator +\d", capsys.readouterr().out, re.M)
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        (["--generator_decoder="], "--generator_encoder should come with --gener"),
        (["--generator_encoder="], "--generator_decoder should come with --gener"),
        (["--generator_encoder=none.keras"], "none.keras does not exist"),
        (["--generator_decoder=LARGER"], "should give images of shape (8, 8, 1)"),
        (["--image_size=16"], "should take images of shape (16, 16, 1). Received: one"),
        (
            [
                "--generator_encoder=",
                "--generator_decoder=",
                "--generator_latent_scale=1",
            ],
            "--generator_latent_scale is of latents",
        ),
    ],
)
def test_files_that_do_not_fit_are_refused(
    changed, message, flags, coders, tmp_path, capsys
):
    given = [flag.replace("LARGER", str(coders / "larger.keras")) for flag in changed]
    assert message in error(capsys, *flags, *given, f"--workdir={tmp_path / 'run'}")
