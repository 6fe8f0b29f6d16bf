"""Sweeps on the digits whose runs are played, not trained."""

import json
import pathlib

from semivit_tf.cli import parse, parse_second_network
from semivit_tf.stages.result_file import write_result
from semivit_tf.sweep.run_sweep import run_sweep
from tests.stages.runs import TINY

CNN = "--backbone=convnext --depths=1 --widths=8 --stem_patch=2 --finetune_epochs=2"
STAGES = (("finetune", "student", 0.0), ("semi_finetune", "teacher", 0.2))


class Played:
    """Carries out a run by leaving what a real one would.

    Of ten images of three classes, the share that is right is labels plus seed in
    tenths, and two tenths more after stage 3.
    """

    def __init__(self):
        self.configs = {}

    def __call__(self, config):
        folder = pathlib.Path(config.run.workdir)
        self.configs[folder.name] = config
        folder.mkdir(parents=True)
        (folder / "config.json").write_text(json.dumps({"derived": {}}))
        for stage in config.run.stage_names():
            (folder / stage).mkdir()
            write_result(folder / stage / "DONE", {})
        if "evaluate" not in config.run.stage_names():
            return
        share = (config.data.labels_per_class + config.run.seed) / 10
        rows = []
        for stage, weights, more in STAGES:
            measures = ("accuracy", "macro_precision", "macro_recall", "macro_f1")
            row = dict.fromkeys(measures, share + more)
            row |= {"stage": stage, "weights": weights, "handed_on": True}
            row |= {"images": 10, "labels_used": 10 * config.data.labels_per_class}
            rows.append({**row, "confusion": [[3, 1, 0], [0, 2, 1], [1, 0, 2]]})
        worse = [{**row, "accuracy": 0.0, "handed_on": False} for row in rows]
        write_result(folder / "evaluation.json", {"results": [*worse, *rows]})


def settings_of(folder, *flags):
    """Returns the command line, the `Config`, and that of the second network."""
    argv = ["main.py", *TINY, f"--workdir={folder}", *flags]
    config = parse(argv)
    return argv, config, parse_second_network(argv, config)


def swept(folder, *flags, carry_out, said=None):
    """Returns the content of `sweep.json` of a command."""
    argv, config, second = settings_of(folder, *flags)
    say = (lambda text: None) if said is None else said.append
    return run_sweep(config, second, argv, say, carry_out)
