"""Which optimizer and learning rates the settings of a stage mean."""

import dataclasses

import numpy as np
import pytest

from semivit_tf.config import Config
from semivit_tf.config.finetune import FinetuneConfig
from semivit_tf.config.pretrain import PretrainConfig
from semivit_tf.config.semi import SemiFinetuneConfig
from semivit_tf.config.settings import InputError
from semivit_tf.methods.classifier import Classifier
from semivit_tf.stages.derived_settings import derived_settings
from semivit_tf.stages.optimizers import learning_rates, stage_optimizer
from semivit_tf.training.optimizers import LayerWiseAdamW
from semivit_tf.training.sgd import LayerWiseSGD
from tests.methods.small import small_vit

VIT = {"backbone": "vit_small_patch16"}
SGD = {"optimizer": "sgd", "schedule": "cosine_7_16", "batch_size": 64}


@pytest.mark.parametrize(
    ("settings", "rate"), [(FinetuneConfig(), 5e-4), (SemiFinetuneConfig(), 1e-3)]
)
def test_without_a_word_it_is_adamw_and_half_a_cosine(settings, rate):
    assert (settings.optimizer, settings.schedule) == ("adamw", "cosine")
    assert settings.base_learning_rate == rate
    found = (settings.weight_decay, settings.beta_2, settings.minimum_learning_rate)
    assert found == (0.05, 0.999, 1e-6)
    settings = dataclasses.replace(settings, batch_size=256, layer_decay=0.5)
    optimizer = stage_optimizer(Classifier(small_vit(), 3), settings, 2)
    assert isinstance(optimizer, LayerWiseAdamW) and min(optimizer.scales) == 0.25
    assert (optimizer.weight_decay, optimizer.beta_2) == (0.05, 0.999)
    rates = [float(learning_rates(settings, 2)(step)) for step in (0, 10, 200)]
    np.testing.assert_allclose(rates, [0, rate, 1e-6], rtol=1e-4)


@pytest.mark.parametrize("group", [FinetuneConfig, SemiFinetuneConfig])
def test_sgd_is_that_of_the_methods_for_small_images(group):
    settings = group(**SGD, epochs=10, warmup_epochs=2.0, clip_norm=1.0)
    assert (settings.beta_2, settings.minimum_learning_rate) == (None, None)
    optimizer = stage_optimizer(Classifier(small_vit(), 3), settings, 4)
    assert isinstance(optimizer, LayerWiseSGD) and optimizer.global_clipnorm == 1.0
    found = (optimizer.momentum, optimizer.nesterov, optimizer.weight_decay)
    assert found == (0.9, True, 5e-4)
    rates = [float(learning_rates(settings, 4)(step)) for step in (0, 4, 8, 24, 40)]
    wanted = 0.03 * np.cos(7 / 16 * np.pi * np.array([0, 0.5, 1]))
    np.testing.assert_allclose(rates, [0, 0.015, *wanted], rtol=1e-5)


def test_what_adamw_needs_is_not_derived_for_sgd():
    config = Config.from_flags({**VIT, "semi_optimizer": "sgd"})
    settings = config.semi.with_values(batch_size=64)
    derived = derived_settings("semi", config, settings, (1000, 320))
    assert derived.base_learning_rate == 0.12 and derived.optimizer == "sgd"
    given = Config.from_flags({**VIT, "semi_optimizer": "sgd", "semi_weight_decay": 0})
    assert given.semi.weight_decay == 0.0
    assert Config.from_json(given.to_json()) == given


@pytest.mark.parametrize(
    ("flags", "message"),
    [
        (
            {"semi_optimizer": "sgd", "semi_beta_2": 0.9},
            "--semi_beta_2 belongs to --semi_optimizer=adamw. Received it with "
            "--semi_optimizer=sgd; --semi_beta_2= takes it back",
        ),
        (
            {"finetune_schedule": "cosine_7_16", "finetune_minimum_learning_rate": 0.0},
            "--finetune_minimum_learning_rate belongs to --finetune_schedule=cosine. "
            "Received it with --finetune_schedule=cosine_7_16; "
            "--finetune_minimum_learning_rate= takes it back",
        ),
        (
            {"semi_optimizer": "adam"},
            "--semi_optimizer should be one of: adamw, sgd. Received: 'adam'",
        ),
    ],
)
def test_what_does_not_go_together_is_refused(flags, message):
    with pytest.raises(InputError) as error:
        Config.from_flags({**VIT, **flags})
    assert str(error.value) == message


def test_pre_training_has_no_choice():
    settings = PretrainConfig()
    assert (settings.optimizer, settings.schedule) == ("adamw", "cosine")
    names = {field.name for field in dataclasses.fields(settings)}
    assert not names & {"optimizer", "schedule"}
