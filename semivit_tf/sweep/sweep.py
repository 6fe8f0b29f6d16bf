"""A sweep: all ways, with all numbers of labels and all seeds, in one folder.

sweep.json                 what was measured, and where a later command goes on
table.md                   the same as a table, and as a plot
accuracy_over_labels.svg
shared.../                 a run: the check and stage 1, which labels do not change
features/                  frozen features of all images
runs/<task>/               one run each, which is not needed any more
"""

import dataclasses
import itertools
import pathlib
from collections.abc import Callable

from semivit_tf.config import Config
from semivit_tf.config.sweep import EVALUATE, FINETUNE, PRETRAIN, SEMI_FINETUNE
from semivit_tf.data.parts import Parts
from semivit_tf.report.accuracy_over_labels import draw_accuracies
from semivit_tf.stages.pipeline import prepare
from semivit_tf.stages.run_data import find_images
from semivit_tf.stages.run_folder import RunFolder
from semivit_tf.stages.stage_table import PIPELINES
from semivit_tf.sweep.probes import Probes
from semivit_tf.sweep.results import Results, measured_run
from semivit_tf.sweep.table import lines_of, markdown
from semivit_tf.sweep.tasks import (
    lacks_labels,
    pretrains,
    shared_config,
    shared_run,
    shared_stages,
    task_config,
    tasks_of,
    with_flags,
)
from semivit_tf.sweep.ways import WAYS
from semivit_tf.whole_file import open_whole

_PIPELINE = PIPELINES["semi_vit"]


@dataclasses.dataclass
class Sweep:
    """A sweep whose settings and images are known and checked.

    Attributes:
        configs: Dict of `"vit"`, and `"cnn"` if there is one, to `Config`.
        folder: Path.
        parts: `Parts`.
        coarse: Dict of class to coarse class, or None.
        results: `Results`.
        say: Function that shows a person a text.
        carry_out: Function that carries out the run of a `Config`.
    """

    configs: dict[str, Config]
    folder: pathlib.Path
    parts: Parts
    coarse: dict | None
    results: Results
    say: Callable
    carry_out: Callable

    @property
    def labels(self):
        """The numbers of labels in a class, ascending."""
        return self.configs["vit"].sweep.label_numbers()

    @property
    def seeds(self):
        """The seeds."""
        return self.configs["vit"].sweep.seed_numbers()

    @property
    def ways(self):
        """The names of the ways that are compared."""
        return self.configs["vit"].sweep.way_names()

    def measure(self):
        """Measures what is not measured yet, probes first."""
        tasks = [task for task in self.tasks() if self.left(task)]
        probes = [place for place in self.probes() if not self.results.has(*place)]
        self.check_networks({task.network for task in tasks})
        for network, places in itertools.groupby(probes, lambda p: WAYS[p[2]].network):
            self.measure_probes(network, list(places))
        for number, task in enumerate(tasks, 1):
            titles = ", ".join(WAYS[way].title for way in task.ways)
            self.say(
                f"\n=== run {number} of {len(tasks)}: {task.labels} labels a class, "
                f"seed {task.seed}: {titles} ===\n"
            )
            self.measure_task(task)
            self.show()

    def tasks(self):
        """Returns the `Task`s for which there are labels enough."""
        ways = [way for way in self.ways if WAYS[way].stage]
        found = []
        for task in tasks_of(self.labels, self.seeds, ways):
            doubled = task.labels not in self.labels
            reason = doubled and lacks_labels(self.configs["vit"], self.parts, task)
            if reason:
                self.say(f"left out: {task.name}. {reason}")
            else:
                found.append(task)
        return found

    def left(self, task):
        """Returns whether a task has something that is not measured."""
        measured = self.results.of(task.labels, task.seed)
        return not set(task.ways) <= set(measured)

    def probes(self):
        """Returns the place in the results of each probe."""
        ways = [way for way in self.ways if WAYS[way].stage is None]
        return [
            (labels, seed, way)
            for way in ways
            for seed in self.seeds
            for labels in self.labels
        ]

    # === What the runs share ===

    def shared(self, network, seed):
        """Returns the folder of the run that a network's runs share, finished."""
        config = self.configs[network]
        name, seed = shared_run(config, network, self.seeds, seed)
        path = self.folder / name
        if shared_stages(config):
            found = shared_config(config, path, self.labels[0], seed)
            if not self.finished(found):
                self.carry_out(found)
        return path

    def finished(self, config):
        """Returns whether all stages of a run are."""
        folder = RunFolder(config.run.workdir)
        return all(folder.stage(name).done for name in config.run.stage_names())

    def check_networks(self, networks):
        """Refuses settings that a network cannot follow, before anything is run."""
        for network in networks:
            config = self.configs[network]
            names = [FINETUNE, SEMI_FINETUNE, EVALUATE]
            names = [*([PRETRAIN] if pretrains(config) else []), *names]
            prepare(
                with_flags(
                    config,
                    stages=",".join(names),
                    labels_per_class=self.labels[0],
                    seed=self.seeds[0],
                    workdir=str(self.folder / "runs" / "none"),  # nothing is written
                )
            )

    # === Measuring ===

    def measure_probes(self, network, places):
        """Measures probes of one network, by their places in the results."""
        by_shared = {}
        for place in places:
            shared = self.shared(network, place[1])
            by_shared.setdefault(shared, []).append(place)
        config = self.configs[network]
        for shared, some in by_shared.items():
            parts = find_images(config, RunFolder(shared), _PIPELINE)
            probes = Probes(config, self.folder, shared, parts, self.coarse, self.say)
            for labels, seed, way in some:
                found = probes.measure(labels, seed)
                self.results.add(labels, seed, {way: found})
                self.say(
                    f"{WAYS[way].title}, {labels} labels a class, seed {seed}: "
                    f"accuracy {found['accuracy']:.3f}"
                )
        self.show()

    def measure_task(self, task):
        """Carries out the run of a task and keeps what came out."""
        shared = self.shared(task.network, task.seed)
        path = self.folder / "runs" / task.name
        run = task_config(self.configs[task.network], task, path, shared)
        self.carry_out(run)
        found = measured_run(run, task.ways, self.coarse)
        self.results.add(task.labels, task.seed, found)

    # === What people read ===

    def show(self):
        """Writes the table and the plot; returns the table."""
        table = markdown(self.results.content)
        with open_whole(self.folder / "table.md") as file:
            file.write(table + "\n")
        content = self.results.content
        draw_accuracies(
            lines_of(content, "accuracy"),
            self.folder / "accuracy_over_labels.svg",
            f"accuracy on {content['part']} images, %",
        )
        return table
