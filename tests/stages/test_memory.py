"""Memory is estimated before anything is traced, and batches are cut to fit."""

import math
import subprocess
import sys

import pytest

from semivit_tf.backbones.convnext import ConvNeXt
from semivit_tf.backbones.kept_values import kept_values
from semivit_tf.backbones.keras_applications import create_application
from semivit_tf.config.run import RunConfig
from semivit_tf.methods.denoiser import Denoiser
from semivit_tf.stages.memory import Need, denoiser_need, fitting_parts, free_memory
from tests.diffusion.small import small_u_vit
from tests.methods.small import (
    small_conformer,
    small_resnet,
    small_semiformer,
    small_vit,
    small_wide_resnet,
)
from tests.stages.runs import ROOT, TINY, error, prepared

NEED = Need(trained=10**6, copied=0, kept=10**9, pixels=0)


def test_a_vit_keeps_what_its_blocks_keep():
    """5 tokens of 16 channels and 2 heads."""
    block = 18 * 5 * 16 + 2 * 2 * 5**2
    assert kept_values(small_vit(depth=3)) == 3 * block
    assert kept_values(small_vit(depth=3), tokens=2) == 3 * (18 * 2 * 16 + 2 * 2 * 4)
    remade = small_vit(depth=3, rematerialize=True)
    assert kept_values(remade) == block + 2 * 3 * 5 * 16


def test_a_u_vit_keeps_what_its_blocks_and_joints_keep(tmp_path):
    """2 + 4 tokens of 16 channels, 2 heads, 3 blocks and a joint; 64 pixels."""
    denoiser = Denoiser(small_u_vit(), 3)
    need = denoiser_need(prepared(tmp_path), denoiser, images=5)
    blocks = 3 * (18 * 6 * 16 + 2 * 2 * 6**2)
    assert need.kept == 5 * (blocks + 3 * 6 * 16 + 6 * 64)
    weights = sum(math.prod(w.shape) for w in denoiser.student.trainable_variables)
    assert need.trained == need.copied == weights
    assert need.pixels == 5 * 64


def test_two_streams_keep_their_maps_their_tokens_and_what_they_exchange():
    """A map of 4x4 places and 8 channels, then of 2x2 and 16; 5 tokens of 12."""
    transformers = 2 * (18 * 5 * 12 + 2 * 2 * 5**2)
    stem, first = 3 * 96, 3 * (32 + 32 + 2 * 128) + 128
    fused = 3 * (64 + 16 + 2 * 64) + 64 + 3 * (16 + 4 + 2 * 16) + 16
    separate = transformers + stem + first + fused
    assert kept_values(small_semiformer(separate=True)) == separate
    exchanged = 4 * 12 + 4 * 5 * 12 + 2 * 4 * 16
    assert kept_values(small_semiformer()) == separate + exchanged
    assert kept_values(small_conformer()) == separate + exchanged - 2 * 4 * 12


def test_other_networks_keep_their_maps():
    convnext = ConvNeXt(8, (1, 2), (4, 6), stem_patch=2, channels=1)
    assert kept_values(convnext) == (15 + 2) * 16 * 4 + (30 + 2) * 4 * 6
    # The stem; of each block what its convolutions give, three times, and the sum.
    block0 = 3 * (256 + 256 + 2 * 1024) + 1024
    block1 = 3 * (64 * 6 + 96 + 2 * 384) + 384
    assert kept_values(small_resnet()) == 3 * 256 + block0 + block1
    wide = 3 * (256 + 2 * 512) + 3 * (512 + 2 * 192)
    assert kept_values(small_wide_resnet()) == 3 * 256 + wide
    small = create_application("MobileNetV3Small", image_size=32)
    large = create_application("MobileNetV3Small", image_size=64)
    assert 3.5 < kept_values(large) / kept_values(small) < 4.5


def test_parts_are_the_fewest_that_fit():
    one, two = NEED.bytes(1), NEED.bytes(2)
    assert one - two == pytest.approx(4 * 10**9 / 2 - 4 * 10**6)
    assert NEED.bytes(1, "mixed_bfloat16") == pytest.approx(one - 2 * 10**9)
    assert fitting_parts(NEED, 2 * one, (12, 60), "float32") == 1
    assert fitting_parts(NEED, one, (12, 60), "float32") == 2
    third = NEED.bytes(4) / 0.9 + 1
    assert fitting_parts(NEED, third, (12, 60), "float32") == 4
    assert fitting_parts(NEED, third, (9, 45), "float32") == 9  # 4 does not divide
    assert fitting_parts(NEED, 1e9, (12, 60), "float32") is None


def test_a_limit_is_a_number_with_a_unit():
    assert RunConfig(memory_limit="8g").memory_limit_bytes() == 8 * 10**9
    assert RunConfig(memory_limit="1.5 GB").memory_limit_bytes() == 15 * 10**8
    assert RunConfig().memory_limit_bytes() is None
    with pytest.raises(ValueError, match="--memory_limit should be a number and a"):
        RunConfig(memory_limit="much")
    assert free_memory(10**6) == 10**6
    assert free_memory() > 10**8


def test_what_cannot_fit_is_one_line(tmp_path, capsys):
    flags = ["--stages=finetune", "--memory_limit=1m", f"--workdir={tmp_path / 'run'}"]
    line = error(capsys, *flags)
    assert "finetune needs about 1.0 GB in micro-batches of 1 labelled" in line
    assert "0.0 GB are free" in line and "--rematerialize" in line
    assert not (tmp_path / "run").exists()
    said = error(capsys, *flags, "--finetune_batch_parts=2")
    assert "no --finetune_batch_parts" in said


@pytest.mark.parametrize("method", ["mae", "dino"])
def test_pre_training_needs_memory_too(method, tmp_path):
    made = prepared(tmp_path, pretrain_method=method, pretrain_batch_size=100)
    (stage,) = made.wanted
    network = stage.kind.network(made, stage)
    need = stage.kind.need(made, stage, network)
    shares = 2 if method == "dino" else 1  # as large a teacher
    assert need.trained == network.count_params() // shares
    assert need.copied == need.trained * (shares - 1)
    assert need.kept > 100 * 18 * 8  # at least a token in a block of 8 channels
    assert need.pixels >= 100 * 64


def test_the_decoder_of_semi_mae_is_counted(tmp_path):
    """16 patches, of which the encoder sees 4 of 8 channels, and a decoder of 12."""
    needs = {}
    for method in ("semi_vit", "semi_mae"):
        flags = {"stages": "finetune,semi_finetune", "semi_batch_size": 20}
        flags |= {"labels_per_class": 2, "semi_method": method}
        if method == "semi_mae":
            flags |= {"semi_decoder_width": 12, "semi_decoder_heads": 2}
            flags |= {"semi_decoder_depth": 3}
        made = prepared(tmp_path, **flags)
        stage = made.wanted[-1]
        network = stage.kind.method(made, stage, stage.kind.network(made, stage))
        needs[method] = network, stage.kind.need(made, stage, network)
    (plain, before), (method, after) = needs.values()
    decoder = method.autoencoder.decoder
    own = sum(v.shape.num_elements() for v in decoder.trainable_variables) + 2 * 8
    assert after.trained - before.trained == own
    assert (after.copied, after.pixels) == (before.copied, before.pixels)
    encoder_block = 18 * (4 + 1) * 8 + 2 * 2 * (4 + 1) ** 2
    decoder_block = 18 * (16 + 1) * 12 + 2 * 2 * (16 + 1) ** 2
    unlabeled = 5 * 20
    assert after.kept - before.kept == unlabeled * (encoder_block + 3 * decoder_block)
    assert plain.further_values() == 0


# What `getrusage` says may be the peak of the process that started this one.
RUN_AND_MEASURE = """
import re, sys
from semivit_tf.cli import main
code = main(["main.py", *sys.argv[1:]])
print(re.search(r"VmHWM:\\s*(\\d+) kB", open("/proc/self/status").read())[1])
sys.exit(code)
"""


@pytest.mark.skipif(sys.platform != "linux", reason="asks Linux for the peak")
def test_a_run_stays_below_its_limit(tmp_path):
    """800 digits of 65 tokens: in one piece they would keep 1 GB."""
    larger = ["--patch_size=1", "--width=64", "--depth=3", "--labels_per_class=80"]
    flags = [*TINY, *larger, "--finetune_batch_size=800", "--finetune_epochs=2"]
    flags += ["--stages=finetune", "--memory_limit=1.5g", f"--workdir={tmp_path}"]
    command = [sys.executable, "-c", RUN_AND_MEASURE, *flags]
    ended = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
    assert ended.returncode == 0, ended.stderr
    assert "--finetune_batch_parts=4" in ended.stdout
    peak = int(ended.stdout.splitlines()[-1]) * 1024
    assert peak < 1.5e9
