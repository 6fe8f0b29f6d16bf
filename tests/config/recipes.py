"""The flagfiles of the repository, and the settings that they are."""

import pathlib

from semivit_tf.cli import parse

EXPERIMENTS = pathlib.Path(__file__).parents[2] / "experiments"
FLAGFILES = sorted(path.name for path in EXPERIMENTS.glob("*.flags"))


def config_of(name):
    return parse(["main.py", f"--flagfile={EXPERIMENTS / name}"])
