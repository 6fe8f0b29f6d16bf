"""Flagfiles say what they are for, and mean what was published."""

import dataclasses
import functools
import json
import re
import statistics

import pytest

from semivit_tf.backbones import create_backbone, find_family
from semivit_tf.backbones.vit_sizes import VIT_SIZES
from semivit_tf.config.semi_methods import SEMI_METHODS
from semivit_tf.methods.two_stream_classifier import create_classifier
from semivit_tf.stages import pretrain_mae
from semivit_tf.stages.run import Run
from semivit_tf.training.schedules import WarmupCosine, scaled_learning_rate
from tests.config.recipes import EXPERIMENTS, FLAGFILES, config_of
from tests.methods.small import small_vit

IMAGENET = 1_281_167


def header_of(name):
    """Returns the words of a flagfile's header by what they are about."""
    text = (EXPERIMENTS / name).read_text().split("\n\n")[0]
    found = re.findall(r"^# (\w+): +(.*(?:\n# {11}.*)*)", text, re.M)
    return {key: " ".join(words.replace("#", " ").split()) for key, words in found}


@pytest.mark.parametrize("name", FLAGFILES)
def test_a_header_says_how_to_run_it_and_what_to_expect(name):
    text = (EXPERIMENTS / name).read_text().split("\n\n")[0]
    assert f"python main.py --flagfile=experiments/{name}" in text
    header = header_of(name)
    assert {"Data", "Method", "Hardware", "Expected"} <= set(header)
    assert re.search("hours|half an hour|minutes|how long", header["Hardware"])
    named = set(re.findall(r"--(\w+)", text)) - {"flagfile"}
    config = config_of(name)
    assert named <= set(config.flags())
    if config.backbone.init_from:
        assert config.backbone.init_from in header["Weights"]
    if config.backbone.backbone.startswith(("vit_large", "vit_huge")):
        for flag in ("--strategy=multi_worker", "--rematerialize"):
            assert flag in header["Hardware"]
    assert config.run.workdir == f"runs/{name.removesuffix('.flags')}" or (
        config.run.workdir in ("runs/quickstart", "runs/fashion_mnist")
    )


# The methods that Semi-ViT is compared with.
OWN = ("semi_vit", "semi_mae", "semiformer")  # they have recipes of their own
COMPARED = tuple(name for name in SEMI_METHODS if name not in OWN)

# Published accuracies in percent: of Semi-ViT after stage 2 and after stage 3; of MAE
# after fine-tuning with all labels; of DINO by neighbours and by a linear probe.
EXPECTED = {
    "imagenet_semi_vit_base_1pct": [57.4, 71.0],
    "imagenet_semi_vit_base_10pct": [73.7, 79.7],
    "imagenet_semi_vit_large_1pct": [67.1, 77.3],
    "imagenet_semi_vit_large_10pct": [79.2, 83.3],
    "imagenet_semi_vit_huge_1pct": [71.5, 80.0],
    "imagenet_semi_vit_huge_10pct": [81.4, 84.3],
    "imagenet_semi_vit_base_10pct_scratch": [57.0, 73.5],
    "imagenet_semi_convnext_tiny_10pct_scratch": [61.2, 74.1],
    "imagenet_semi_mae_vit_small_10pct": [75.9],
    "imagenet_semiformer_small_10pct": [75.5],
    "imagenet_mae_finetune_vit_base": [83.66],
    "imagenet_mae_finetune_vit_large": [85.95],
    "imagenet_mae_finetune_vit_huge": [86.93],
    "imagenet_mae_vit_base": [83.7],
    "imagenet_mae_vit_large": [85.5],
    "imagenet_mae_vit_huge": [86.9],
    "imagenet_dino_vit_small": [69.3, 74.0],
    "food101_semi_vit_base_1pct": [],
    "food101_semi_vit_base_10pct": [],
    "inaturalist2021_semi_vit_base_1pct": [],
    "inaturalist2021_semi_vit_base_10pct": [],
    "own_folder_semi_vit_base": [],
    "own_folder_2_cores": [],
    "own_folder_gpu": [],
    "groceries_sweep": [],
    **{f"imagenet_{name}_vit_base_10pct": [] for name in COMPARED},
}


def percentages(text):
    return [float(number) for number in re.findall(r"([\d.]+) %", text)]


@pytest.mark.parametrize("name", EXPECTED)
def test_a_header_expects_what_was_published(name):
    text = header_of(f"{name}.flags")["Expected"]
    assert percentages(text) == EXPECTED[name]
    assert ("published" in text) == bool(EXPECTED[name])
    assert "not measured" in text


def test_what_each_recipe_for_photographs_should_expect_is_known():
    photographs = {
        name.removesuffix(".flags")
        for name in FLAGFILES
        if config_of(name).data.augmentation == "photo"
    }
    assert photographs == set(EXPECTED)


def test_headers_expect_what_was_measured():
    def result(name):
        return json.loads((EXPERIMENTS / "results" / f"{name}.json").read_text())

    seeds = result("digits_40_labels")["seeds"].values()
    digits = [
        statistics.mean(seed[network] for seed in seeds)
        for network in ("finetune student", "semi_finetune teacher")
    ]
    fashion = [
        one["accuracy"]
        for one in result("fashion_mnist_250_labels")["results"]
        if (one["stage"], one["weights"]) != ("semi_finetune", "student")
    ]
    distilled = result("fashion_mnist_features")["DINO, patch 7"].values()
    dino = [statistics.mean(seed["finetuned"] for seed in distilled)]
    for name, shares in (
        ("quickstart", digits),
        ("fashion_mnist_dino", dino),
        ("fashion_mnist_250_labels", fashion),
    ):
        expected = [round(100 * share, 1) for share in shares]
        assert percentages(header_of(f"{name}.flags")["Expected"]) == expected


def run_of(config):
    """Returns a `Run` that knows its settings, without a folder or images."""
    return Run(config, None, None, None)


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
    chosen = config.pretrain_method
    decoder = (chosen.decoder_width, chosen.decoder_depth, chosen.decoder_heads)
    assert decoder == (512, 8, 16) and chosen.normalize_targets
    assert (chosen.mask_ratio, settings.weight_decay) == (0.75, 0.05)
    tokens = {"base": 196, "large": 196, "huge": 256}[size]
    name = config.backbone.backbone
    patch = int(name.rpartition("patch")[2])
    assert (224 // patch) ** 2 == tokens
    network = small_vit()
    optimizer = pretrain_mae.optimizer(run_of(config), settings, chosen, network, steps)
    assert (optimizer.beta_1, optimizer.beta_2) == (0.9, 0.95)
    assert optimizer.weight_decay == 0.05 and set(optimizer.scales) == {1.0}
    named = zip(network.trainable_variables, optimizer.decayed, strict=True)
    tokens = [v.path for v, decays in named if "token" in v.name and decays]
    assert tokens == ["vit/class_token"]


# Peak learning rate, layer decay, drop path, epochs, with all labels.
MAE_FINETUNING = {
    "base": (2e-3, 0.65, 0.1, 100),
    "large": (4e-3, 0.75, 0.2, 50),
    "huge": (4e-3, 0.75, 0.3, 50),
}


@pytest.mark.parametrize("size", MAE_FINETUNING)
def test_mae_is_fine_tuned_as_published(size):
    config = config_of(f"imagenet_mae_finetune_vit_{size}.flags")
    settings = config.finetune
    steps, rate = schedule(settings)
    assert (config.data.label_fraction, steps) == (1.0, 1251)
    peak, decay, drop_path, epochs = MAE_FINETUNING[size]
    assert float(rate(5 * steps)) == pytest.approx(peak, rel=1e-6)
    found = (settings.layer_decay, settings.drop_path, settings.epochs)
    assert found == (decay, drop_path, epochs)
    mixed = (settings.mixup_alpha, settings.cutmix_alpha, settings.erasing)
    assert mixed == (0.8, 1.0, 0.25) and settings.label_smoothing == 0.1
    sizes = {**VIT_SIZES[config.backbone.backbone], **config.backbone.overrides()}
    assert sizes.get("pooling", "mean") == "mean"


def test_dino_is_trained_as_published():
    config = config_of("imagenet_dino_vit_small.flags")
    settings, chosen = config.pretrain, config.pretrain_method
    steps, rate = schedule(settings)
    assert steps == 2502
    assert float(rate(10 * steps)) == pytest.approx(1e-3, rel=1e-6)
    assert float(rate(100 * steps)) == pytest.approx(1e-6, rel=1e-3)
    assert (chosen.outputs, chosen.hidden_width) == (65536, 2048)
    assert (chosen.bottleneck_width, chosen.local_crops) == (256, 8)
    assert (settings.weight_decay, chosen.weight_decay_end) == (0.04, 0.4)
    assert (chosen.teacher_momentum, chosen.clip_norm) == (0.996, 3.0)
    assert (chosen.frozen_epochs, chosen.drop_path) == (1, 0.1)
    assert (chosen.student_temperature, chosen.teacher_temperature) == (
        0.1,
        0.04,
    )


# Patch, width, depth and heads.
SIZES = {
    "vit_small_patch16": (16, 384, 12, 6),
    "vit_base_patch16": (16, 768, 12, 12),
    "vit_large_patch16": (16, 1024, 24, 16),
    "vit_huge_patch14": (14, 1280, 32, 16),
}


FROM_DINOV2 = {
    "groceries_sweep.flags": ["vit_small_patch14"],
    "own_folder_2_cores.flags": ["vit_small_patch14"],
    "own_folder_gpu.flags": ["vit_base_patch14"],
}


@pytest.mark.parametrize("name", FLAGFILES)
def test_the_network_of_a_recipe_is_the_one_in_its_name(name):
    settings = config_of(name).backbone
    named = [one for one in SIZES if one.partition("_patch")[0] in name]
    named += [one for one in ("convnext_tiny", "semiformer_small") if one in name]
    named += FROM_DINOV2.get(name, [])
    free = "semiformer" if "semiformer" in name else "vit"
    assert [settings.backbone] == (named or [free])
    if settings.backbone in SIZES:
        sizes = {**VIT_SIZES[settings.backbone], **settings.overrides()}
        found = [sizes[key] for key in ("patch_size", "width", "depth", "heads")]
        assert tuple(found) == SIZES[settings.backbone]


# Labels in %, then of stage 2 and of stage 3: labelled batch, steps an epoch, epochs,
# peak learning rate, layer decay, drop path, erasing, mixup; and the threshold.
SEMI_VIT = {
    "vit_base_1pct": (
        (512, 25, 100, 1e-4, 0.65, 0.0, 0.0, 0.0),
        (128, 1981, 100, 5e-4, 0.75, 0.0, 0.0, 0.0),
        0.6,
    ),
    "vit_base_10pct": (
        (512, 250, 100, 5e-4, 0.65, 0.1, 0.25, 0.8),
        (128, 1801, 100, 5e-4, 0.75, 0.1, 0.25, 0.8),
        0.5,
    ),
    "vit_large_1pct": (
        (512, 25, 50, 2e-3, 0.75, 0.0, 0.0, 0.0),
        (128, 1981, 100, 5e-4, 0.75, 0.1, 0.25, 0.8),
        0.6,
    ),
    "vit_large_10pct": (
        (512, 250, 50, 2e-3, 0.75, 0.1, 0.25, 0.8),
        (128, 1801, 100, 1e-3, 0.75, 0.2, 0.25, 0.8),
        0.6,
    ),
    "vit_huge_1pct": (
        (128, 100, 50, 5e-3, 0.75, 0.0, 0.0, 0.0),
        (64, 3963, 50, 1.25e-3, 0.75, 0.05, 0.25, 0.8),
        0.7,
    ),
    "vit_huge_10pct": (
        (128, 1000, 50, 5e-4, 0.75, 0.2, 0.25, 0.8),
        (128, 1801, 50, 1.25e-3, 0.75, 0.1, 0.25, 0.8),
        0.6,
    ),
    "vit_base_10pct_scratch": (
        (1024, 125, 500, 4e-4, 1.0, 0.1, 0.25, 0.8),
        (128, 1801, 100, 5e-4, 0.85, 0.1, 0.25, 0.8),
        0.5,
    ),
    "convnext_tiny_10pct_scratch": (
        (1024, 125, 500, 1e-3, 1.0, 0.1, 0.25, 0.8),
        (128, 1801, 100, 5e-4, 1.0, 0.1, 0.25, 0.8),
        0.7,
    ),
}


@pytest.mark.parametrize("name", SEMI_VIT)
def test_semi_vit_is_trained_as_published(name):
    config = config_of(f"imagenet_semi_{name}.flags")
    finetune, semi, threshold = SEMI_VIT[name]
    labeled = round(IMAGENET * config.data.label_fraction)
    unlabeled_batch = config.semi.batch_size * config.semi.unlabeled_per_labeled
    for settings, learning, expected, steps in (
        (
            config.finetune,
            config.finetune,
            finetune,
            labeled // config.finetune.batch_size,
        ),
        (
            config.semi,
            config.semi_method,
            semi,
            (IMAGENET - labeled) // unlabeled_batch,
        ),
    ):
        peak = scaled_learning_rate(settings.base_learning_rate, settings.batch_size)
        assert (
            settings.batch_size,
            steps,
            settings.epochs,
            pytest.approx(peak),
            settings.layer_decay,
            settings.drop_path,
            settings.erasing,
            learning.mixup_alpha,
        ) == expected
        assert learning.cutmix_alpha == (1.0 if learning.mixup_alpha else 0.0)
        assert settings.minimum_learning_rate == 1e-6
        assert learning.label_smoothing == 0.1
    assert config.semi_method.threshold == threshold
    assert config.semi_method.cutmix_probability == 0.5  # of pseudo mixup, in every row
    assert (config.semi_method.ema_momentum, config.semi_method.ema_schedule) == (
        0.9999,
        "constant",
    )


def test_what_single_rows_of_semi_vit_have_of_their_own():
    def of(name):
        return config_of(f"imagenet_semi_{name}.flags")

    kept = {name: of(name).finetune.ema_momentum for name in SEMI_VIT}
    assert {name: value for name, value in kept.items() if value is not None} == {
        "vit_huge_10pct": 0.9998,
        "vit_base_10pct_scratch": 0.9999,
        "convnext_tiny_10pct_scratch": 0.9999,
    }
    scratch = of("vit_base_10pct_scratch")
    assert (scratch.finetune.beta_2, scratch.finetune.weight_decay) == (0.95, 0.3)
    assert scratch.backbone.position_embedding == "sincos"
    assert scratch.finetune.warmup_epochs == 50
    convnext = of("convnext_tiny_10pct_scratch")
    assert convnext.semi_method.unlabeled_weight == 10.0
    assert convnext.semi.warmup_epochs == 10.0
    assert of("vit_huge_10pct").semi.batch_parts == 2
    assert VIT_SIZES["vit_huge_patch14"]["pooling"] == "class_token"


def test_semiformer_is_trained_as_published():
    config = config_of("imagenet_semiformer_small_10pct.flags")
    finetune, semi, method = config.finetune, config.semi, config.semi_method
    labeled = 128_116
    assert config.data.labeled_as_unlabeled
    assert (finetune.batch_size, finetune.epochs, semi.epochs) == (8 * 108, 30, 270)
    assert finetune.steps(labeled, finetune.batch_size) == labeled // 864 == 148
    assert (semi.batch_size, semi.unlabeled_per_labeled) == (8 * 18, 90 // 18)
    assert semi.steps(IMAGENET, 8 * 90) == labeled // (8 * 18) == 889
    for settings in (finetune, semi):
        peak = scaled_learning_rate(settings.base_learning_rate, settings.batch_size)
        assert peak == pytest.approx(1e-3, rel=1e-6)
        assert settings.minimum_learning_rate == 1e-5
        assert (settings.drop_path, settings.erasing) == (0.1, 0.25)
    for learning in (finetune, method):
        mixed = (learning.mixup_alpha, learning.cutmix_alpha)
        assert mixed == (0.0, 0.0) and learning.label_smoothing == 0.1
    assert (method.threshold, method.labeler) == (0.7, "convolutional")
    assert (method.labeled_view, method.mixing) == ("labeled", "none")
    assert (method.convolutional_weight, method.unlabeled_smoothing) == (1.0, 0.0)


# Of stage 2 and of stage 3: how much more slowly a layer learns than the next, layers
# below the head, warm-up epochs, weight decay, beta_2. Then the unlabelled weight and
# the pooling.
USUAL = (5.0, 0.05, 0.999)
BASE = ((0.65, 13, *USUAL), (0.75, 13, *USUAL), 5.0, "mean")
LARGE = ((0.75, 25, *USUAL), (0.75, 25, *USUAL), 5.0, "mean")
HUGE = ((0.75, 33, *USUAL), (0.75, 33, *USUAL), 5.0, "class_token")
UNLABELED_WEIGHTS = {
    "ema_teacher": 5.0,
    **dict.fromkeys(("fixmatch", "flexmatch", "uda"), 10.0),
    **dict.fromkeys(("freematch", "softmatch", "pseudo_label"), 1.0),
    "mean_teacher": 50.0,
    "pi_model": 10.0,
    "supervised": None,
}
LEARNING = {
    "imagenet_semi_vit_base_1pct": BASE,
    "imagenet_semi_vit_base_10pct": BASE,
    "imagenet_semi_vit_large_1pct": LARGE,
    "imagenet_semi_vit_large_10pct": LARGE,
    "imagenet_semi_vit_huge_1pct": HUGE,
    "imagenet_semi_vit_huge_10pct": HUGE,
    "imagenet_semi_vit_base_10pct_scratch": (
        (1.0, 13, 50.0, 0.3, 0.95),
        (0.85, 13, *USUAL),
        *(5.0, "mean"),
    ),
    "imagenet_semi_convnext_tiny_10pct_scratch": (
        (1.0, 7, 50.0, 0.05, 0.999),
        (1.0, 7, 10.0, 0.05, 0.999),
        *(10.0, None),
    ),
    "imagenet_semiformer_small_10pct": (
        (1.0, 13, *USUAL),
        (1.0, 13, *USUAL),
        *(4.0, None),
    ),
    "fashion_mnist_semiformer": (
        (1.0, 7, 1.0, 0.05, 0.999),
        (1.0, 7, 0.5, 0.05, 0.999),
        *(1.0, None),
    ),
    "imagenet_mae_finetune_vit_base": (BASE[0], None, None, "mean"),
    "imagenet_mae_finetune_vit_large": (LARGE[0], None, None, "mean"),
    "imagenet_mae_finetune_vit_huge": (HUGE[0], None, None, "mean"),
    "food101_semi_vit_base_1pct": BASE,
    "food101_semi_vit_base_10pct": BASE,
    "inaturalist2021_semi_vit_base_1pct": BASE,
    "inaturalist2021_semi_vit_base_10pct": BASE,
    "own_folder_semi_vit_base": BASE,
    "quickstart": (
        (0.75, 5, 30.0, 0.05, 0.999),
        (0.75, 5, 10.0, 0.05, 0.999),
        *(5.0, "mean"),
    ),
    "groceries_28_labels": (
        (0.75, 7, 15.0, 0.05, 0.999),
        (0.75, 7, 20.0, 0.05, 0.999),
        *(1.0, "mean"),
    ),
    **dict.fromkeys(
        ("digits_fixmatch", "digits_freematch"),
        (
            (0.75, 5, 30.0, 0.05, 0.999),
            (0.75, 5, 10.0, 0.05, 0.999),
            *(1.0, "mean"),
        ),
    ),
    **{
        f"imagenet_{name}_vit_base_10pct": (*BASE[:2], UNLABELED_WEIGHTS[name], "mean")
        for name in COMPARED
    },
    **{
        f"fashion_mnist_{name}": (
            (0.75, 7, 10.0, 0.05, 0.999),
            (0.75, 7, 0.5, 0.05, 0.999),
            SEMI_METHODS[name]().unlabeled_weight,
            "mean",
        )
        for name in ("semi_vit", *COMPARED)
    },
    **dict.fromkeys(
        (
            *("fashion_mnist_250_labels", "fashion_mnist_dpt_100_labels"),
            *("fashion_mnist_dino", "fashion_mnist_semi_mae"),
        ),
        (
            (0.75, 7, 20.0, 0.05, 0.999),
            (0.75, 7, 0.4, 0.05, 0.999),
            *(5.0, "mean"),
        ),
    ),
}


def test_what_every_fine_tuning_recipe_learns_by_is_known():
    recipes = {name.removesuffix(".flags"): config_of(name).run for name in FLAGFILES}
    assert set(LEARNING) == {
        name
        for name, run in recipes.items()
        if "finetune" in run.stage_names() and run.preset == "published"
    }


@functools.cache
def narrow_classifier(settings):
    """A classifier with the layers that a `BackboneConfig` asks for, but few channels.

    Images of 224 pixels are whole patches of any size that recipes have.
    """
    narrow = {"vit": {"width": 4, "heads": 1}, "convnext": {"widths": (4, 4, 4, 4)}}
    stages = len(settings.overrides().get("depths", (4, 4, 4)))
    narrow["semiformer"] = {"width": 4, "heads": 1, "widths": (4,) * stages}
    sizes = {**settings.overrides(), **narrow[find_family(settings.backbone)]}
    backbone = create_backbone(settings.backbone, image_size=224, **sizes)
    return create_classifier(backbone, 2)


def scales_of(model, optimizer):
    """Returns the factors on the rate of the first and last layer and of the head."""
    scales = {
        id(variable): scale
        for variable, scale in zip(
            model.trainable_variables, optimizer.scales, strict=True
        )
    }
    groups = model.backbone.layer_groups()
    layers = [groups[0], groups[-1], model.head.trainable_variables]
    found = [{scales[id(variable)] for variable in layer} for layer in layers]
    assert [len(one) for one in found] == [1, 1, 1]
    return [one.pop() for one in found]


@pytest.mark.parametrize("name", LEARNING)
def test_layers_of_a_recipe_learn_as_published(name):
    finetune, semi, unlabeled_weight, pooling = LEARNING[name]
    config = config_of(f"{name}.flags")
    # So that one network serves many recipes.
    settings = dataclasses.replace(config.backbone, init_from=None)
    model = narrow_classifier(settings)
    assert getattr(model.backbone, "pooling", None) == pooling
    for stage, expected in ((config.finetune, finetune), (config.semi, semi)):
        if expected is None:
            continue
        decay, layers, warmup, weight_decay, beta_2 = expected
        stage = dataclasses.replace(stage, batch_size=256)
        optimizer = run_of(config).optimizer(model, stage, steps_per_epoch=10)
        first, last, head = scales_of(model, optimizer)
        assert (first, last, head) == pytest.approx((decay**layers, decay, 1.0))
        assert (optimizer.weight_decay, optimizer.beta_2) == (weight_decay, beta_2)
        rates = [float(optimizer._learning_rate(n * warmup)) for n in (5, 10)]
        peak = stage.base_learning_rate
        assert rates == pytest.approx([peak / 2, peak], rel=1e-6)
    if semi is not None:
        assert config.semi_method.unlabeled_weight == unlabeled_weight


def test_semi_mae_starts_from_scratch_and_has_a_light_decoder():
    config = config_of("imagenet_semi_mae_vit_small_10pct.flags")
    semi, chosen = config.semi, config.semi_method
    unlabeled = IMAGENET - round(0.1 * IMAGENET)
    assert unlabeled // (5 * semi.batch_size) == 1801 and semi.from_scratch
    assert scaled_learning_rate(semi.base_learning_rate, semi.batch_size) == 5e-4
    decoder = (chosen.decoder_width, chosen.decoder_depth, chosen.decoder_heads)
    assert decoder == (256, 2, 8) and chosen.mask_ratio == 0.75
    assert (chosen.labeler, chosen.mixing) == ("teacher", "probabilistic")
    assert chosen.reconstruction_weight == 1.0 and chosen.normalize_targets
    same = config_of("fashion_mnist_250_labels.flags")
    own = config_of("fashion_mnist_semi_mae.flags")
    for group in ("data", "backbone", "pretrain", "pretrain_method", "finetune"):
        assert getattr(own, group) == getattr(same, group)
    assert own.semi == dataclasses.replace(same.semi, method="semi_mae")
    shared = {**same.flags(), "semi_method": "semi_mae", "workdir": own.run.workdir}
    found = {flag for flag, value in own.flags().items() if value != shared[flag]}
    assert found <= {flag for flag in shared if flag.startswith("semi_")}


FINE_GRAINED = {
    # labelled and unlabelled images, steps an epoch, peaks of the rate, threshold
    "food101_semi_vit_base_1pct": (808, 74942, 6, 117, 2.5e-5, 5e-4, 0.6),
    "food101_semi_vit_base_10pct": (7575, 68175, 59, 106, 1.25e-4, 5e-4, 0.5),
    "inaturalist2021_semi_vit_base_1pct": (
        *(26_868, 2_659_975, 52, 4156),
        *(1e-4, 5e-4, 0.6),
    ),
    "inaturalist2021_semi_vit_base_10pct": (
        *(268_685, 2_418_158, 524, 3778),
        *(5e-4, 5e-4, 0.5),
    ),
}


@pytest.mark.parametrize("name", FINE_GRAINED)
def test_fine_grained_recipes_mean_what_they_say(name):
    labeled, unlabeled, *steps, finetune, semi, threshold = FINE_GRAINED[name]
    config = config_of(f"{name}.flags")
    sizes = [
        config.finetune.batch_size,
        config.semi.batch_size * config.semi.unlabeled_per_labeled,
    ]
    found = [n // size for n, size in zip((labeled, unlabeled), sizes, strict=True)]
    assert found == steps
    text = (EXPERIMENTS / f"{name}.flags").read_text()
    assert all(f"{count} steps an epoch" in text for count in steps)
    for settings, peak in ((config.finetune, finetune), (config.semi, semi)):
        rate = scaled_learning_rate(settings.base_learning_rate, settings.batch_size)
        assert rate == pytest.approx(peak, rel=1e-9)
    assert config.semi_method.threshold == threshold
    assert (config.finetune.layer_decay, config.semi.layer_decay) == (0.65, 0.75)
    published = config_of(f"imagenet_{name[name.index('semi') :]}.flags")
    own = {"base_learning_rate", "batch_size", "ema_momentum"}
    for group in ("finetune", "semi"):
        ours = dataclasses.asdict(getattr(config, group))
        theirs = dataclasses.asdict(getattr(published, group))
        assert {key for key in ours if ours[key] != theirs[key]} <= own


def test_the_recipe_for_an_own_folder_is_imagenets_with_batches_that_fit():
    own = config_of("own_folder_semi_vit_base.flags")
    published = config_of("imagenet_semi_vit_base_10pct.flags")
    for group in ("finetune", "semi"):
        ours = dataclasses.asdict(getattr(own, group))
        theirs = dataclasses.asdict(getattr(published, group))
        assert {name for name in ours if ours[name] != theirs[name]} <= {
            *("batch_size", "ema_momentum"),
        }
        assert ours["batch_size"] is None
