"""The runs that a sweep is made of, and the settings of each."""

import dataclasses

from semivit_tf.config import Config
from semivit_tf.config.backbone import BackboneConfig
from semivit_tf.config.sweep import CHECK, EVALUATE, FINETUNE, PRETRAIN, SEMI_FINETUNE
from semivit_tf.stages.preflight import NETWORK
from semivit_tf.stages.run_data import split_and_batch
from semivit_tf.stages.run_folder import RunFolder
from semivit_tf.sweep.ways import WAYS, place_of

_TRAINED = (FINETUNE, SEMI_FINETUNE)
# What a sweep sets itself, whatever the flags say.
_EVERY = {
    "labels_per_class": None,
    "label_fraction": None,
    "labeled_index": None,
    "folds": None,
    "fit_batch_sizes": True,
    "pipeline": "semi_vit",
}
_OWN_FILE = ("init_network", "init_source_grid")


@dataclasses.dataclass(frozen=True)
class Task:
    """One run: a network, its labels, and the ways that it gives results of."""

    network: str
    labels: int
    seed: int
    ways: tuple[str, ...]

    @property
    def name(self) -> str:
        """The name of its folder."""
        return f"labels{self.labels}_seed{self.seed}_{self.network}"

    @property
    def stages(self):
        """The stages that train, in order: all up to the latest that is needed."""
        last = max(_TRAINED.index(WAYS[way].stage) for way in self.ways)
        return _TRAINED[: last + 1]


def tasks_of(labels, seeds, ways):
    """Returns the `Task`s of a sweep, seed by seed.

    Args:
        labels: Integers.
        seeds: Integers.
        ways: Names of ways.
    """
    trained = [way for way in ways if WAYS[way].stage]
    found = []
    for seed in seeds:
        wanted = {}
        for count in labels:
            for way in trained:
                at, name = place_of(way, count)
                places = wanted.setdefault((at, WAYS[way].network), [])
                if name not in places:
                    places.append(name)
        found += [
            Task(network, count, seed, tuple(names))
            for (count, network), names in sorted(wanted.items())
        ]
    return found


def with_flags(config, **flags):
    """Returns the settings of one run of a sweep, with some flags set."""
    given = {n: v for n, v in config.flags().items() if not n.startswith("sweep_")}
    return Config.from_flags({**given, **_EVERY, **flags})


def lacks_labels(config, parts, task):
    """Returns why a task cannot have its labels, or None if it can."""
    flags = {"labels_per_class": task.labels, "seed": task.seed}
    try:
        split_and_batch(with_flags(config, **flags), parts)
    except ValueError as error:
        return str(error)
    return None


def pretrains(config):
    """Returns whether a network is trained without labels first."""
    return PRETRAIN in config.run.stage_names()


def checks(config):
    """Returns the stage that reads all images, unless the flags leave it out."""
    return [CHECK] if CHECK in config.run.stage_names() else []


def shared_run(config, network, seeds, seed):
    """Returns the name and the seed of the run that serves a seed of a sweep.

    Stage 1 learns all training images but those held out for validation. Only where
    these are drawn, it is another one for each seed.
    """
    if not pretrains(config):
        return "shared", seeds[0]
    if config.data.validation_per_class:
        return f"shared_{network}_seed{seed}", seed
    return f"shared_{network}", seeds[0]


def shared_stages(config):
    """Returns the stages that the number of labels does not change."""
    return [*checks(config), *([PRETRAIN] if pretrains(config) else [])]


def shared_config(config, folder, labels, seed):
    """Returns the settings of the run that does what the labels do not change."""
    return with_flags(
        config,
        stages=",".join(shared_stages(config)),
        labels_per_class=labels,
        seed=seed,
        workdir=str(folder),
        check_from=str(folder.parent / "shared"),  # if another network has made it
    )


def task_config(config, task, folder, shared):
    """Returns the settings of the run of a task.

    Args:
        config: `Config` of its network.
        task: `Task`.
        folder: Path of the run.
        shared: Path of the run of `shared_config` for its seed.
    """
    stages = [*checks(config), *task.stages, EVALUATE]
    return with_flags(
        config,
        **from_shared(config, shared),
        stages=",".join(stages),
        labels_per_class=task.labels,
        seed=task.seed,
        workdir=str(folder),
        check_from=str(shared),
    )


def from_shared(config, shared):
    """Returns the flags by which a run starts from a finished stage 1."""
    if not pretrains(config):
        return {}
    run = RunFolder(shared)
    derived = run.derived().get(NETWORK, {})
    names = [field.name for field in dataclasses.fields(BackboneConfig)]
    return {
        **dict.fromkeys(_OWN_FILE),
        **{flag: value for flag, value in derived.items() if flag in names},
        "init_allow_missing": False,
        "init_allow_unexpected": False,
        "init_from": str(run.stage(PRETRAIN).weights("encoder")),
    }
