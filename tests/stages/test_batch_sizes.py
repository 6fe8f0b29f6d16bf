"""Batches that nobody has chosen fit the images that there are."""

import pytest

from semivit_tf.config import Config
from semivit_tf.data.dataset import load_dataset
from semivit_tf.stages.batch_sizes import fitting, settled_settings
from semivit_tf.stages.stage_table import PIPELINES

SMALL = {"backbone": "vit_small_patch16", "preset": "published"}
TRAINING = [stage for stage in PIPELINES["semi_vit"] if stage.kind.trains]


def settled(flags, data, replicas=1):
    """The settings of the three training stages, with batch sizes."""
    config = Config.from_flags({**SMALL, **flags})
    return [settled_settings(stage, config, data, replicas) for stage in TRAINING]


@pytest.mark.parametrize(
    "labels, flags, replicas, expected",
    [
        (4, {}, 1, (256, 40, 40)),
        (50, {}, 1, (256, 128, 128)),
        (50, {"semi_unlabeled_per_labeled": 10}, 1, (256, 128, 93)),
        (4, {"pretrain_batch_size": 9, "semi_batch_size": 5}, 1, (9, 40, 5)),
        (1, {}, 16, (256, 1, 1)),  # refused later, by name
    ],
)
def test_a_step_takes_what_there_is_up_to_a_limit(labels, flags, replicas, expected):
    data = load_dataset("digits", labels_per_class=labels, seed=0)
    stages = settled(flags, data, replicas)
    assert tuple(settings.batch_size for settings in stages) == expected


@pytest.mark.parametrize(
    "most, available, replicas, parts, expected",
    [
        (128, 128, 1, 16, (128, 16)),
        (128, 40, 1, 16, (40, 5)),  # parts of 8
        (128, 5, 1, 16, (5, 1)),
        (128, 10, 1, 20, (10, 2)),  # 5, where a part may have 6
        (128, 40, 2, 3, (40, 1)),  # 20 for a replica, where a part may have 21
        (128, 40, 2, 7, (36, 3)),  # 9 may be in a part: 3 of 6
        (128, 1000, 2, 3, (126, 3)),
        (2, 1, 1, 4, (1, 1)),
    ],
)
def test_fewer_images_need_fewer_parts(most, available, replicas, parts, expected):
    size, found = fitting(most, available, replicas, parts)
    assert (size, found) == expected
    assert size // (replicas * found) <= max(most // (replicas * parts), 1)


@pytest.mark.parametrize(
    "labels, expected",
    [(1, (1438, 10, 10)), (4, (1438, 40, 32)), (40, (1438, 300, 32))],
)
def test_sizes_of_batches_may_be_limits(labels, expected):
    data = load_dataset("digits", labels_per_class=labels, seed=0)
    sizes = {"pretrain": 4096, "finetune": 300, "semi": 32}
    flags = {f"{stage}_batch_size": size for stage, size in sizes.items()}
    stages = settled({**flags, "fit_batch_sizes": True}, data)
    assert tuple(settings.batch_size for settings in stages) == expected


@pytest.mark.parametrize(
    "labels, expected", [(1, (10, 1, 10, 2)), (50, (128, 4, 128, 16))]
)
def test_parts_that_save_memory_do_not_refuse_few_labels(labels, expected):
    """A part has at most 32 images in stage 2, and 8 labelled ones in stage 3."""
    data = load_dataset("digits", labels_per_class=labels, seed=0)
    flags = {"finetune_batch_parts": 4, "semi_batch_parts": 16}
    stages = settled(flags, data)[1:]
    found = [(settings.batch_size, settings.batch_parts) for settings in stages]
    assert (*found[0], *found[1]) == expected
