"""Runs of a few steps, through the command line or just prepared."""

import json
import pathlib

from semivit_tf.cli import main
from semivit_tf.config import Config
from semivit_tf.stages.pipeline import prepare

ROOT = pathlib.Path(__file__).parents[2]
TINY = [
    "--preset=published",
    "--labels_per_class=2",
    "--backbone=vit",
    "--patch_size=4",
    "--width=8",
    "--depth=1",
    "--heads=2",
    "--pretrain_epochs=2",
    "--pretrain_warmup_epochs=0",
    "--pretrain_decoder_width=8",
    "--pretrain_decoder_depth=1",
    "--pretrain_decoder_heads=2",
    "--pretrain_mask_ratio=0.5",
    "--finetune_epochs=3",
    "--finetune_batch_size=20",
    "--finetune_warmup_epochs=0",
    "--semi_epochs=2",
    "--semi_batch_size=20",
    "--semi_warmup_epochs=0",
    "--semi_threshold=0",
    "--xla=off",
]
DINO = [
    "--pretrain_method=dino",
    "--pretrain_batch_size=100",
    "--pretrain_dino_outputs=16",
    "--pretrain_dino_hidden_width=8",
    "--pretrain_dino_bottleneck_width=6",
    "--pretrain_dino_local_crops=2",
]

DPT = [
    "--pipeline=dpt",
    "--finetune_base_learning_rate=0.05",
    "--finetune_mixup_alpha=0",
    "--finetune_cutmix_alpha=0",
    "--generator_epochs=1",
    "--generator_batch_size=128",
    "--generator_warmup_epochs=0",
    "--generator_width=8",
    "--generator_depth=2",
    "--generator_heads=2",
    "--generate_images_per_class=3",
    "--generate_steps=2",
    "--generate_batch_size=8",
    "--judge_epochs=4",
    "--judge_images_per_class=2",
    "--deterministic",
]


def run(*flags):
    return main(["main.py", *TINY, *(str(flag) for flag in flags)])


def error(capsys, *flags):
    """Returns the line of a run that should be refused."""
    assert run(*flags) == 2
    captured = capsys.readouterr()
    assert captured.out == ""
    lines = captured.err.splitlines()
    assert len(lines) == 1, captured.err
    return lines[0]


def served_by(file):
    """Returns the names of the weights of the only version of `export.json`."""
    versions = json.loads(file.read_text())
    assert set(versions) == {"1", "sha256"}
    return versions["1"]["weights"]


def prepared(tmp_path, **flags):
    """A `Run` that has not begun."""
    sizes = {"backbone": "vit", "patch_size": 2, "width": 8, "depth": 1, "heads": 2}
    values = {"workdir": str(tmp_path / "run"), "stages": "pretrain", **sizes}
    values["preset"] = "published"
    return prepare(Config.from_flags({**values, "pretrain_method": "dino", **flags}))
