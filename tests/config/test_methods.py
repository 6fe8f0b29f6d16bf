"""Settings of methods: their defaults, and which flags go with which method."""

import dataclasses
import inspect

import pytest

from semivit_tf.cli import parse
from semivit_tf.config import Config
from semivit_tf.config.config import METHODS, described_default
from semivit_tf.config.pretrain import PRETRAIN_METHODS
from semivit_tf.config.semi_methods import SEMI_METHODS
from semivit_tf.config.semi_parts import SemiMethodSettings
from semivit_tf.config.settings import InputError
from semivit_tf.methods import dino, ema_teacher, mae, semi_methods
from semivit_tf.methods.labelers import LABELERS
from semivit_tf.methods.mixings import MIXINGS
from semivit_tf.methods.selections import SELECTIONS
from semivit_tf.methods.semi_supervised import SemiSupervised
from tests.methods.small import small_semiformer, small_vit

VIT = {"backbone": "vit_small_patch16"}


def of(**flags):
    return Config.from_flags({**VIT, **flags})


@pytest.mark.parametrize("name", SEMI_METHODS)
def test_a_semi_supervised_method_has_the_defaults_of_its_class(name):
    settings, model = SEMI_METHODS[name](), semi_methods.SEMI_METHODS[name]
    sizes = {"images": 5} if name == "flexmatch" else {}
    parts = {"mixing": "none"} if name == "ema_teacher" else {}
    backbone = small_semiformer() if name == "semiformer" else small_vit()
    model = model(backbone, 3, **sizes, **parts)
    if "selection" not in settings.lacks:
        assert settings.labeler == model.labeler
        assert type(model.selection) is SELECTIONS[settings.selection]
        for key, value in settings.of_part("selection").items():
            assert getattr(model.selection, key) == value, key
        assert model.mixing == MIXINGS[settings.mixing](**settings.of_part("mixing"))
        assert settings.unlabeled_weight == model.unlabeled_weight
    assert settings.labeled_view == model.labeled_view
    for key in ("label_smoothing", "mixup_alpha", "cutmix_alpha"):
        assert getattr(settings, key) == getattr(model.student, key), key
    for key, value in settings.own().items():
        assert getattr(model, key) == (None if value == "none" else value), key
    assert settings.ema_momentum == model.default_teacher().momentum


@pytest.mark.parametrize(
    ("settings", "constructor"),
    [
        (PRETRAIN_METHODS["mae"](), mae.MAE),
        (PRETRAIN_METHODS["dino"](), dino.DINO),
    ],
)
def test_pre_training_has_the_defaults_of_its_class(settings, constructor):
    compared = 0
    for name, argument in inspect.signature(constructor).parameters.items():
        if hasattr(settings, name) and name != "name":
            compared += 1
            assert getattr(settings, name) == argument.default, name
    assert compared >= 5


def test_flags_know_all_methods_and_parts():
    assert set(SEMI_METHODS) == set(semi_methods.SEMI_METHODS)
    for name, table in (
        ("labeler", LABELERS),
        ("selection", SELECTIONS),
        ("mixing", MIXINGS),
    ):
        (field,) = [f for f in dataclasses.fields(SemiMethodSettings) if f.name == name]
        assert set(field.metadata["choices"]) == set(table), name
    assert ema_teacher.EMATeacher().momentum == SEMI_METHODS["semi_vit"]().ema_momentum


@pytest.mark.parametrize("name", SEMI_METHODS)
def test_all_settings_survive_json(name):
    config = of(semi_method=name, semi_mixup_alpha=3)
    again = Config.from_json(config.to_json())
    assert again == config
    assert again.semi_method.mixup_alpha == 3.0
    assert config.flags()["semi_mixup_alpha"] == 3.0
    assert config.flags()["pretrain_dino_outputs"] is None


@pytest.mark.parametrize(
    ("flags", "message"),
    [
        ({"semi_mixing": "none", "semi_cutmix_probability": 0.5}, "belongs to"),
        (
            {"semi_method": "supervised", "semi_threshold": 0.5},
            "--semi_threshold belongs to --semi_selection=fixed_threshold or "
            "curriculum_threshold",
        ),
        (
            {"semi_method": "supervised", "semi_labeler": "teacher"},
            "--semi_labeler means nothing to supervised",
        ),
        ({"semi_method": "nothing"}, "--semi_method should be one of: semi_vit"),
        ({"semi_labeler": "nobody"}, "--semi_labeler should be one of: teacher"),
        ({"semi_unlabeled_ramp": 1.5}, "--semi_unlabeled_ramp should be at most 1.0"),
    ],
)
def test_what_does_not_go_together_is_refused(flags, message):
    with pytest.raises(InputError, match=message):
        of(**flags)


def test_the_method_of_pre_training_can_be_changed_after_a_flagfile():
    config = of(pretrain_mask_ratio=0.5, pretrain_method="dino")
    assert config.flags()["pretrain_mask_ratio"] is None
    assert config.pretrain.epochs == 100


def test_a_part_brings_its_settings_and_takes_them_away():
    assert of().semi_method.of_part("mixing") == {"cutmix_probability": 0.5}
    plain = of(semi_mixing="none").semi_method
    assert plain.of_part("mixing") == {} and plain.cutmix_probability is None


def test_fairness_goes_with_the_running_thresholds_it_needs():
    config = of(semi_method="freematch", semi_selection="fixed_threshold")
    assert config.semi_method.fairness_weight is None
    assert config.semi_method.of_part("selection") == {"threshold": 0.95}
    free = of(semi_method="freematch").semi_method
    assert free.own() == {"fairness_weight": 0.001}
    assert free.of_part("selection") == {"threshold_momentum": 0.999}


def test_an_empty_flag_takes_a_value_back():
    flags = ["main.py", "--semi_threshold=0.3", "--init_from=a.pth"]
    back = ["--semi_method=freematch", "--semi_threshold=", "--init_from="]
    with pytest.raises(InputError, match="--semi_threshold= takes it back"):
        parse([*flags, "--backbone=vit_small_patch16", *back[:1]])
    config = parse([*flags, "--backbone=vit_small_patch16", *back])
    assert config.semi_method.threshold is None
    assert config.backbone.init_from is None


def test_help_tells_the_defaults_of_methods_apart():
    fields = {f.name: f for f in dataclasses.fields(SemiMethodSettings)}
    text = described_default("semi_method", fields["threshold"])
    assert text.startswith("derived; published: 0.95; semi_vit: 0.6")
    assert described_default("semi_method", fields["ema_schedule"]) == "constant"


def test_every_flag_is_listed_once_under_the_class_that_has_it():
    fields = Config.fields()
    assert fields["semi_threshold"][1] is SemiMethodSettings
    assert fields["pretrain_mask_ratio"][1] is PRETRAIN_METHODS["mae"]
    assert set(METHODS) == {"pretrain_method", "semi_method"}
    assert issubclass(SEMI_METHODS["semi_vit"], fields["semi_mixing"][1])
    assert issubclass(semi_methods.SEMI_METHODS["semi_vit"], SemiSupervised)


def test_an_epoch_may_be_given_in_steps():
    config = of(finetune_steps_per_epoch=7)
    assert config.finetune.steps(images=40, batch_size=8) == 7
    assert of().finetune.steps(images=40, batch_size=8) == 5
    assert of().finetune.steps(images=40, batch_size=64) == 1
