"""What was not said follows from the images, the labels, the network and the preset."""

import pytest

from semivit_tf.config import Config
from semivit_tf.config.backbone import BackboneConfig
from semivit_tf.data.dataset import load_dataset
from semivit_tf.stages.batch_sizes import settled_settings
from semivit_tf.stages.derived_settings import (
    derived_method_settings,
    derived_network,
    derived_settings,
)
from semivit_tf.stages.stage_table import PIPELINES
from tests.config.recipes import FLAGFILES, config_of
from tests.stages.runs import prepared

STAGES = [stage for stage in PIPELINES["semi_vit"] if stage.kind.trains]
SMALL = {"backbone": "vit", "patch_size": 2, "width": 64, "depth": 4, "heads": 4}


@pytest.fixture(scope="module")
def digits():
    return load_dataset("digits", labels_per_class=4, seed=0)


def settled(data, **flags):
    config = Config.from_flags({**SMALL, **flags})
    return [settled_settings(stage, config, data, 1) for stage in STAGES]


def test_forty_digits_are_learned_as_in_the_quickstart(digits):
    """The same numbers of updates, and rates whose peaks are 3e-3, 1e-3 and 1e-3."""
    pretrain, finetune, semi = settled(digits)
    assert [s.batch_size for s in (pretrain, finetune, semi)] == [128, 40, 32]
    assert pretrain.epochs == 137  # of 11 steps: 1,500
    assert finetune.epochs == 300  # of one step
    assert semi.epochs == 200  # of 8 steps: 1,600
    rates = [s.base_learning_rate for s in (pretrain, finetune, semi)]
    assert rates == [6e-3, 6.4e-3, 8e-3]
    assert [s.warmup_epochs for s in (pretrain, finetune, semi)] == [13.7, 30, 10]
    assert (finetune.mixup_alpha, finetune.cutmix_alpha) == (0, 0)


def test_what_was_said_stays(digits):
    said = {"semi_epochs": 3, "semi_batch_size": 20, "finetune_mixup_alpha": 0.3}
    _, finetune, semi = settled(digits, **said)
    assert (semi.epochs, semi.batch_size, finetune.mixup_alpha) == (3, 20, 0.3)
    assert semi.warmup_epochs == 0.15
    assert semi.base_learning_rate == pytest.approx(1e-3 * 256 / 20)


def test_a_wider_network_learns_at_lower_rates(digits):
    wide = settled(digits, width=256)[2]
    assert wide.base_learning_rate == pytest.approx(8e-3 / 2)


@pytest.mark.parametrize(
    ("images", "epochs", "steps"),
    [
        (1_000_000, 1, 400),
        (59_750, 2, 200),  # of 373 in a pass
        (21_000, 4, 100),  # of 131
        (1_760, 37, 11),  # 407 in all: passes stay whole
        (1_600, 40, 10),
        (100, 400, 1),
    ],
)
def test_the_budget_ends_within_a_pass_over_many_images(images, epochs, steps):
    config = Config.from_flags({**SMALL, "preset": "quick"})
    semi = config.semi.with_values(batch_size=32)
    found = derived_settings("semi", config, semi, (images, 160))
    assert (found.epochs, found.steps(images, 160)) == (epochs, steps)


def test_epochs_that_were_said_are_passes():
    config = Config.from_flags({**SMALL, "preset": "quick", "semi_epochs": 5})
    semi = config.semi.with_values(batch_size=32)
    found = derived_settings("semi", config, semi, (59_750, 160))
    assert (found.epochs, found.steps(59_750, 160)) == (5, 373)
    found = derived_settings("semi", config, semi, (1_000_000, 160))
    assert (found.epochs, found.steps(1_000_000, 160)) == (5, 400)


@pytest.mark.parametrize(
    ("updates", "momentum"), [(1600, 0.9896), (20, 0.9), (10**6, 0.9999)]
)
def test_a_teacher_remembers_a_share_of_the_stage(updates, momentum):
    config = Config.from_flags(SMALL)
    found = derived_method_settings(config, config.semi_method, updates)
    assert found.ema_momentum == momentum


def test_all_pseudo_labels_count_as_much_as_labels():
    config = Config.from_flags(SMALL)
    found = derived_method_settings(config, config.semi_method, 400)
    assert (found.threshold, found.unlabeled_weight) == (0.0, 1.0)
    assert (found.mixup_alpha, found.cutmix_alpha) == (0.0, 0.0)
    assert found.mixing == "probabilistic"  # what the method is known for
    said = {"semi_threshold": 0.7, "semi_unlabeled_weight": 2, "semi_cutmix_alpha": 1}
    config = Config.from_flags({**SMALL, **said})
    found = derived_method_settings(config, config.semi_method, 400)
    assert (found.threshold, found.unlabeled_weight) == (0.7, 2.0)
    assert (found.mixup_alpha, found.cutmix_alpha) == (0.0, 1.0)


def test_a_selection_without_a_threshold_gets_none():
    config = Config.from_flags({**SMALL, "semi_selection": "self_adaptive_threshold"})
    found = derived_method_settings(config, config.semi_method, 400)
    assert (found.threshold, found.unlabeled_weight) == (None, 1.0)


@pytest.mark.parametrize("name", ["fixmatch", "freematch"])
def test_other_methods_keep_their_pseudo_labels(name):
    config = Config.from_flags({**SMALL, "semi_method": name})
    found = derived_method_settings(config, config.semi_method, 400)
    assert found.threshold == config.semi_method.threshold
    assert found.unlabeled_weight == 1.0
    published = Config.from_flags({**SMALL, "preset": "published"})
    found = derived_method_settings(published, published.semi_method, 400)
    assert (found.threshold, found.unlabeled_weight) == (0.6, 5.0)
    assert (found.mixup_alpha, found.cutmix_alpha) == (0.8, 1.0)


def test_a_decoder_is_narrower_than_the_encoder():
    config = Config.from_flags(SMALL)
    found = derived_method_settings(config, config.pretrain_method, 1500)
    sizes = (found.decoder_width, found.decoder_depth, found.decoder_heads)
    assert sizes == (48, 2, 2)


PUBLISHED = [name for name in FLAGFILES if config_of(name).run.preset == "published"]


@pytest.mark.parametrize("name", PUBLISHED)
def test_published_recipes_derive_nothing(name):
    config = config_of(name)
    for group in ("pretrain", "finetune", "semi"):
        settings = getattr(config, group)
        assert derived_settings(group, config, settings, (10**6, 128)) is settings
    method = config.semi_method
    assert derived_method_settings(config, method, 100) is method


@pytest.mark.parametrize(
    ("size", "expected"),
    [
        ((8, 8), ("vit", 2, 64, 4)),
        ((28, 28), ("vit", 4, 96, 6)),
        ((32, 32), ("vit", 4, 96, 6)),
        ((224, 224), ("vit_small_patch16", None, None, None)),
        ((100, 80), ("vit", 10, 96, 6)),
    ],
)
def test_a_network_fits_the_images(size, expected):
    found = derived_network(BackboneConfig(), size)
    sizes = (found.backbone, found.patch_size, found.width, found.depth)
    assert sizes == expected
    assert derived_network(found, (8, 8)) is found


def test_a_network_from_elsewhere_has_no_drop_path():
    name = "keras_applications:MobileNetV3Small"
    config = Config.from_flags({"backbone": name})
    semi = config.semi.with_values(batch_size=32)
    found = derived_settings("semi", config, semi, (100, 32))
    assert (found.drop_path, found.layer_decay) == (0.0, 1.0)
    with pytest.raises(ValueError, match="--finetune_drop_path=0 --finetune_layer"):
        Config.from_flags({"backbone": name, "preset": "published"})


def test_a_run_says_what_it_derived(tmp_path):
    run = prepared(tmp_path, preset="balanced", stages="finetune", labels_per_class=4)
    (stage,) = run.wanted
    found = run.derived(stage)
    assert found["finetune_epochs"] == 300
    assert found["finetune_batch_parts"] == 1
    assert "finetune_weight_decay" not in found


def test_stages_and_folder_follow_from_the_rest():
    plain = Config.from_flags({})
    assert plain.run.workdir == "runs/digits"
    assert plain.run.stage_names()[:2] == ("check", "pretrain")
    started = Config.from_flags(
        {"init_from": "a.pth", "backbone": "vit_base_patch16", "data_dir": "x/photos"}
    )
    assert started.run.stage_names()[:2] == ("check", "finetune")
    assert (started.data.dataset, started.run.workdir) == ("folder", "runs/photos")
    assert Config.from_flags({"data_dir": "a/b.npz"}).data.dataset == "npz"
    with pytest.raises(ValueError, match="--init_from needs --backbone"):
        Config.from_flags({"init_from": "a.pth"})
