"""What the settings of the network say, and what they refuse."""

import pytest

from semivit_tf.config import Config
from semivit_tf.config.backbone import BackboneConfig
from semivit_tf.config.data import DATASETS
from semivit_tf.config.settings import InputError
from semivit_tf.data.loaders import LOADERS


def test_only_what_was_given_is_passed_on():
    assert BackboneConfig(backbone="vit_base_patch16").overrides() == {}
    given = {"backbone": "convnext", "depths": "2, 2,6", "widths": "4,8,16"}
    config = BackboneConfig(**given, stem_patch=2)
    expected = {"depths": (2, 2, 6), "widths": (4, 8, 16), "stem_patch": 2}
    assert config.overrides() == expected
    again = Config.from_json(Config(backbone=config).to_json())
    assert again.backbone == config
    dinov2 = BackboneConfig(backbone="vit_small_patch14", registers=4)
    assert dinov2.overrides() == {"registers": 4}


@pytest.mark.parametrize(
    ("given", "message"),
    [
        (
            {"backbone": "convnext", "depths": "2,2"},
            "--backbone=convnext also needs --widths",
        ),
        (
            {"backbone": "vit", "width": 8},
            "--backbone=vit also needs --patch_size, --depth, --heads",
        ),
        (
            {"backbone": "semiformer", "depths": "2,2", "width": 8, "heads": 2},
            "--backbone=semiformer also needs --patch_size, --widths",
        ),
        (
            {"backbone": "convnext", "depths": "2,,2", "widths": "4,8"},
            "--depths should be positive whole numbers with commas between them. "
            "Received: '2,,2'",
        ),
        (
            {"backbone": "convnext_tiny", "widths": "4,0"},
            "--widths should be positive whole numbers with commas between them. "
            "Received: '4,0'",
        ),
    ],
)
def test_sizes_that_cannot_be_used(given, message):
    with pytest.raises(InputError) as error:
        BackboneConfig(**given)
    assert str(error.value) == message


def test_a_misspelt_data_set_is_named_before_anything_else():
    with pytest.raises(InputError, match="csv, digits, folder, .* Received: 'flder'"):
        Config.from_flags({"dataset": "flder", "backbone": "vit"})
    assert DATASETS == tuple(sorted(LOADERS))
