"""Any recipe can be swept: its batches fit few labels."""

import dataclasses
import math
import pathlib

import numpy as np
import pytest
import tensorflow as tf

from semivit_tf.cli import parse, parse_second_network
from semivit_tf.config.presets import batch_sizes
from semivit_tf.data.loaders import load_parts
from semivit_tf.stages.batch_sizes import check_batches
from semivit_tf.stages.run import Run
from semivit_tf.stages.run_data import split_and_batch
from semivit_tf.stages.stage_table import PIPELINES
from semivit_tf.sweep.tasks import task_config, tasks_of
from semivit_tf.sweep.ways import WAYS, place_of

EXPERIMENTS = pathlib.Path(__file__).parents[2] / "experiments"
FLAGFILES = sorted(
    path.name
    for path in EXPERIMENTS.glob("*.flags")
    if {"finetune", "semi_finetune"}
    <= set(parse(["main.py", f"--flagfile={path}"]).run.stage_names())
)
COUNTS = (1, 3, 20)


@pytest.fixture(scope="module")
def images(tmp_path_factory):
    """A file of 5 classes of 40 images."""
    file = tmp_path_factory.mktemp("images") / "images.npz"
    labels = np.repeat(np.arange(5), 40)
    np.savez(file, x_train=np.zeros((200, 8, 8, 3), "uint8"), y_train=labels)
    return file, load_parts("npz", str(file))


@pytest.mark.parametrize("name", FLAGFILES)
def test_batches_of_any_recipe_fit_few_labels(name, images, tmp_path):
    file, parts = images
    argv = ["main.py", f"--flagfile={EXPERIMENTS / name}", "--sweep_labels=1,3,20"]
    argv += ["--dataset=npz", f"--data_dir={file}", "--sweep_seeds=0"]
    argv += ["--sweep_cnn=--backbone=convnext_tiny --pooling= --image_size="]
    argv += ["--stages=finetune"]
    config = parse(argv)
    second = parse_second_network(argv, config)
    found = {}
    for task in tasks_of(COUNTS, [0], ["semi_vit", "semi_cnn"]):
        own = config if task.network == "vit" else second
        own = task_config(own, task, tmp_path / task.name, tmp_path / "shared")
        assert own.data.labels_per_class == task.labels
        data = split_and_batch(own, parts)
        run = Run(own, None, data, tf.distribute.get_strategy())
        sizes = {}
        for stage in PIPELINES["semi_vit"]:
            if stage.name in task.stages:
                check_batches(run, stage)
                sizes[stage.settings] = run.settings(stage).batch_size
        found[task.labels, task.network] = sizes["finetune"], sizes["semi"]
    # The recipe's limits, the labels and the unlabelled images for each.
    usual = batch_sizes(config.run.preset)
    unlabeled = 200 if config.data.labeled_as_unlabeled else 100
    most = {
        "finetune": config.finetune.batch_size or usual["finetune"],
        "semi": config.semi.batch_size or usual["semi"],
    }
    there = {"finetune": 100, "semi": unlabeled // config.semi.unlabeled_per_labeled}
    parts = {
        "finetune": config.finetune.batch_parts or 1,
        "semi": config.semi.batch_parts or 1,
    }

    def expected(group, labels):
        size = min(most[group], there[group], 5 * labels)
        # As many micro-batches as it takes, all of one size, none larger than asked.
        needed = math.ceil(size * parts[group] / most[group])
        return size // needed * needed

    assert found == {
        (labels, network): (expected("finetune", labels), expected("semi", labels))
        for labels in COUNTS
        for network in ("vit", "cnn")
    }


def test_twice_the_labels_are_kept_with_so_many_labels():
    assert place_of("vit_twice", 4) == (8, "vit")
    assert {way: place_of(way, 4) for way in WAYS if way != "vit_twice"} == {
        way: (4, way) for way in WAYS if way != "vit_twice"
    }
    for way in WAYS:
        _, name = place_of(way, 4)
        same = dataclasses.replace(WAYS[way], title=WAYS[name].title)
        assert dataclasses.replace(same, times=1, kept_as=None) == WAYS[name]


def test_a_run_trains_no_more_than_its_ways_need():
    one, two, four = tasks_of([1, 2], [0], ["vit", "vit_twice", "semi_vit", "probe"])
    assert (one.labels, two.labels, four.labels) == (1, 2, 4)
    assert set(one.ways) == set(two.ways) == {"vit", "semi_vit"}
    assert four.ways == ("vit",) and four.stages == ("finetune",)
    assert one.stages == ("finetune", "semi_finetune")
    assert not tasks_of([1], [0], ["probe", "cnn_probe"])
