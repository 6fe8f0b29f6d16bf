"""Flagfiles say what they are for, and mean what was published."""

import pathlib

import pytest

from semivit_tf.backbones import create_backbone
from semivit_tf.cli import parse
from semivit_tf.training.schedules import WarmupCosine, scaled_learning_rate

EXPERIMENTS = pathlib.Path(__file__).parents[2] / "experiments"
FLAGFILES = sorted(path.name for path in EXPERIMENTS.glob("*.flags"))
IMAGENET = 1_281_167


def config_of(name):
    return parse(["main.py", f"--flagfile={EXPERIMENTS / name}"])


@pytest.mark.parametrize("name", FLAGFILES)
def test_a_header_says_how_to_run_it_and_what_to_expect(name):
    header = (EXPERIMENTS / name).read_text().split("\n\n")[0]
    assert f"python main.py --flagfile=experiments/{name}" in header
    for word in ("# Method:", "# Hardware:", "# Expected:"):
        assert word in header
    config = config_of(name)
    assert config.run.workdir == f"runs/{name.removesuffix('.flags')}" or (
        config.run.workdir in ("runs/quickstart", "runs/fashion_mnist")
    )


def schedule(settings):
    steps = IMAGENET // settings.batch_size
    peak = scaled_learning_rate(settings.base_learning_rate, settings.batch_size)
    return steps, WarmupCosine(
        peak,
        settings.epochs * steps,
        round(settings.warmup_epochs * steps),
        settings.minimum_learning_rate,
    )


@pytest.mark.parametrize("size", ["base", "large", "huge"])
def test_mae_is_trained_as_published(size):
    config = config_of(f"imagenet_mae_vit_{size}.flags")
    settings = config.pretrain
    steps, rate = schedule(settings)
    assert (steps, steps * settings.epochs) == (312, 249_600)
    assert float(rate(40 * 312)) == pytest.approx(2.4e-3, rel=1e-6)
    assert float(rate(20 * 312)) == pytest.approx(1.2e-3, rel=1e-6)
    assert float(rate(249_600)) == pytest.approx(0.0, abs=1e-9)
    decoder = (settings.decoder_width, settings.decoder_depth, settings.decoder_heads)
    assert decoder == (512, 8, 16) and settings.normalize_targets
    assert (settings.mask_ratio, settings.weight_decay) == (0.75, 0.05)
    tokens = {"base": 196, "large": 196, "huge": 256}[size]
    name = config.backbone.backbone
    patch = int(name.rpartition("patch")[2])
    assert (224 // patch) ** 2 == tokens


def test_dino_is_trained_as_published():
    settings = config_of("imagenet_dino_vit_small.flags").pretrain
    steps, rate = schedule(settings)
    assert steps == 2502
    assert float(rate(10 * steps)) == pytest.approx(1e-3, rel=1e-6)
    assert float(rate(100 * steps)) == pytest.approx(1e-6, rel=1e-3)
    assert (settings.dino_outputs, settings.dino_hidden_width) == (65536, 2048)
    assert (settings.dino_bottleneck_width, settings.dino_local_crops) == (256, 8)
    assert (settings.weight_decay, settings.dino_weight_decay_end) == (0.04, 0.4)
    assert (settings.dino_teacher_momentum, settings.dino_clip_norm) == (0.996, 3.0)
    assert (settings.dino_frozen_epochs, settings.dino_drop_path) == (1, 0.1)
    assert (settings.dino_student_temperature, settings.dino_teacher_temperature) == (
        0.1,
        0.04,
    )


def test_the_backbones_of_recipes_exist():
    for name in FLAGFILES:
        backbone = config_of(name).backbone
        if backbone.backbone.startswith("vit_small"):
            create_backbone(backbone.backbone)
