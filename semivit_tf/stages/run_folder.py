"""The files of a run, and whether a run may go on in a folder."""

import contextlib
import json
import os
import pathlib
import platform
import tempfile
from importlib import metadata

from semivit_tf.config import Config
from semivit_tf.config.settings import InputError
from semivit_tf.stages.folder_lock import locked
from semivit_tf.stages.result_file import (
    DamagedResultError,
    read_result,
    write_result,
)
from semivit_tf.whole_file import forget_unfinished, open_whole

_PACKAGES = ("tensorflow", "keras", "numpy", "scikit-learn", "safetensors")


class StageFolder:
    """The files of one stage: checkpoints, curves, weights and, at the end, `DONE`.

    Args:
        path: Path.
    """

    def __init__(self, path):
        self.path = pathlib.Path(path)

    @property
    def begun(self):
        """Whether the stage has been started, and perhaps finished."""
        return self.path.exists()

    @property
    def done(self):
        """Whether the stage has been finished."""
        return (self.path / "DONE").exists()

    def summary(self):
        """Returns what `finish` was given."""
        try:
            return read_result(self.path / "DONE")
        except DamagedResultError as error:
            raise InputError(
                f"{error}: without it, the stage is finished again from its last "
                "checkpoint"
            ) from error

    def finish(self, **summary):
        """Marks the stage as finished."""
        write_result(self.path / "DONE", summary)

    def check(self):
        """Refuses what is damaged, or is a file instead of a folder."""
        inside = ("checkpoints", "weights", "weights/best", "tensorboard", "pictures")
        for folder in (self.path, *(self.path / name for name in inside)):
            if folder.exists() and not folder.is_dir():
                raise InputError(f"{folder} should be a folder. Received: a file")
        self.summary()

    @property
    def checkpoints(self):
        """The folder of checkpoints."""
        return self.path / "checkpoints"

    @property
    def has_best(self):
        """Whether the best weights on validation images are kept besides the last."""
        return "best" in self.summary()

    def weights(self, name, checkpoint="last"):
        """Returns the file of a network's weights.

        Args:
            name: String: `"encoder"`, `"student"` or `"teacher"`.
            checkpoint: `"last"` or `"best"`.
        """
        folder = self.path / "weights"
        if checkpoint == "best":
            folder /= "best"
        return folder / f"{name}.safetensors"


class RunFolder:
    """The folder of a run, one per configuration.

    Args:
        workdir: Path.
    """

    def __init__(self, workdir):
        self.path = pathlib.Path(workdir)

    def stage(self, name):
        """Returns the folder of a stage."""
        return StageFolder(self.path / name)

    def check(self, config):
        """Refuses a folder that cannot be written to or holds another run."""
        if self.path.exists() and not self.path.is_dir():
            raise InputError(f"--workdir should be a folder. Received: {self.path}")
        file = self.path / "config.json"
        if file.exists():
            self._check_same(file, config)
        elif self.path.exists() and any(
            not child.name.startswith(".") for child in self.path.iterdir()
        ):
            raise InputError(
                f"--workdir should be empty or hold a run. Received: {self.path}"
            )
        self._check_writable()

    def _check_same(self, file, config):
        described = self._described()
        try:
            before = Config.from_flags(described["flags"]).flags(identity_only=True)
        except (KeyError, TypeError, ValueError) as error:
            raise InputError(f"{file} cannot be understood: {error}") from error
        now = config.flags(identity_only=True)
        differing = [
            f"--{name}={now[name]} (was {before[name]})"
            for name in now
            if now[name] != before[name]
        ]
        if differing:
            raise InputError(
                f"--workdir={self.path} holds a run of other settings; choose another "
                f"folder or the same flags. Differing: {', '.join(differing)}"
            )

    def _check_writable(self):
        nearest = self.path
        while not nearest.exists():
            nearest = nearest.parent
        try:
            with tempfile.TemporaryFile(dir=nearest):
                pass
        except OSError as error:
            raise InputError(
                f"--workdir={self.path} cannot be written to: {error.strerror}"
            ) from error

    @contextlib.contextmanager
    def opened(self, config, command):
        """Locks the folder, and removes the unfinished files of a killed process."""
        with locked(self.path, f"--workdir={self.path}"):
            self.create(config, command)
            forget_unfinished(self.path)
            yield

    def create(self, config, command):
        """Writes what the run is; refuses another one that came first."""
        file = self.path / "config.json"
        if file.exists():
            self._check_same(file, config)
        else:
            described = {
                "flags": config.flags(),
                "command": list(command),
                "versions": {
                    "python": platform.python_version(),
                    **{name: metadata.version(name) for name in _PACKAGES},
                },
                "processors": os.cpu_count(),
            }
            self.write_json(file.name, described)

    def derived(self):
        """Returns what an earlier run derived: by stage, a dict of flag to value."""
        return self._described().get("derived", {})

    def keep_derived(self, derived):
        """Adds to `config.json` what was derived, as `derived` returns it."""
        described = self._described()
        kept = {**described.get("derived", {}), **derived}
        if kept != described.get("derived", {}):
            self.write_json("config.json", {**described, "derived": kept})

    def _described(self):
        """Returns what `config.json` says, or nothing; refuses what no run writes."""
        file = self.path / "config.json"
        if not file.exists():
            return {}
        try:
            found = json.loads(file.read_text(encoding="utf-8"))
            parts = [found.get("flags", {}), *found.get("derived", {}).values()]
        except (
            *(AttributeError, TypeError),  # of other JSON
            *(RecursionError, ValueError),  # of what is no JSON
        ) as error:
            raise InputError(f"{file} cannot be understood: {error}") from error
        if not all(isinstance(part, dict) for part in parts):
            raise InputError(f"{file} cannot be understood: flags should have names")
        return found

    def keep_split(self, split):
        """Writes `split.csv`, unless it is there already."""
        if not (self.path / "split.csv").exists():
            with open_whole(self.path / "split.csv") as file:
                split.write_csv(file)

    def check_split(self, split):
        """Refuses another split than that of earlier stages."""
        file = self.path / "split.csv"
        if not file.exists():
            return
        try:
            with file.open(encoding="utf-8", newline="") as opened:
                same = type(split).read_csv(opened).same(split)
        except ValueError:
            same = False
        if not same:
            raise InputError(
                f"{file} is not the split of these settings: the data have changed, or "
                "the file was edited"
            )

    def write_json(self, name, content):
        """Writes a result of the run as JSON."""
        with open_whole(self.path / name) as file:
            json.dump(content, file, indent=2)

    def description(self):
        """Returns what all workers that share the folder should see in it."""
        files = [*self.path.glob("*/DONE"), *self.path.glob("*/checkpoints/step-*")]
        names = sorted(str(path.relative_to(self.path)) for path in files)
        return (self.path / "config.json").read_text(encoding="utf-8") + str(names)
