"""Batches that nobody has chosen fit the images that there are."""

import pytest

from semivit_tf.config.run import Config
from semivit_tf.data.dataset import load_dataset
from semivit_tf.stages.batch_sizes import with_batch_sizes

SMALL = {"backbone": "vit_small_patch16"}


@pytest.mark.parametrize(
    "labels, flags, replicas, expected",
    [
        (4, {}, 1, (256, 40, 40)),
        (50, {}, 1, (256, 128, 128)),
        (50, {"semi_unlabeled_per_labeled": 10}, 1, (256, 128, 93)),
        (4, {"finetune_batch_parts": 3, "semi_batch_parts": 7}, 2, (256, 36, 28)),
        (4, {"pretrain_batch_size": 9, "semi_batch_size": 5}, 1, (9, 40, 5)),
        (1, {"finetune_batch_parts": 20}, 1, (256, 1, 10)),  # refused later, by name
    ],
)
def test_a_step_takes_what_there_is_up_to_a_limit(labels, flags, replicas, expected):
    data = load_dataset("digits", labels_per_class=labels, seed=0)
    config = with_batch_sizes(Config.from_flags({**SMALL, **flags}), data, replicas)
    stages = config.pretrain, config.finetune, config.semi
    assert tuple(settings.batch_size for settings in stages) == expected
