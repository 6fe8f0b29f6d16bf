"""Answers on their way to a table: they appear in shards, which are joined at the end.

Beside `answers.csv` there are, until it is finished, in `answers.csv.parts/`: the list
of all images, what is asked of whom, and a file for each thousand images that have been
answered. Each appears whole or not at all, so a process may be killed at any time, and
the next one goes on. The finished table has a summary beside it, `answers.csv.json`.
Memory is needed for a few shards, whatever the number of images.
"""

import contextlib
import itertools
import json
import os
import pathlib
import shutil

from semivit_tf.config.settings import InputError
from semivit_tf.stages.folder_lock import locked
from semivit_tf.stages.result_file import read_result, write_result
from semivit_tf.whole_file import forget_unfinished, open_whole, whole_path

SHARD = 1024  # images
_JOB, _PATHS = "job.json", "paths"
_END = b"\0"  # the only byte that no name of a file has
_BLOCK = 2**16


class AnswerShards:
    """The parts of a table of answers.

    Args:
        file: Path of the table.
        asked: JSON-ready dict of flag to value: what other answers would be given to.
    """

    def __init__(self, file, asked):
        self.file = pathlib.Path(file)
        self.asked = asked
        self.folder = self.file.with_name(f"{self.file.name}.parts")
        self.summary_file = self.file.with_name(f"{self.file.name}.json")
        self.count = 0

    def summary(self):
        """Returns the summary of the finished table, or None if it is to be made.

        Refuses to replace a table of other answers, or one of somebody else.
        """
        found = read_result(self.summary_file) if self.file.exists() else None
        if found is not None:
            self._check_same(self.file, found["asked"])
            if self.folder.exists():  # killed after the last file was written
                shutil.rmtree(self.folder, ignore_errors=True)
            return found
        if self.file.exists() and not (self.folder / _JOB).exists():
            raise InputError(
                f"{self.file} exists and is not of this stage: choose another "
                "--predictions"
            )
        return None

    def _check_same(self, place, asked):
        differing = [
            f"--{name}={value} (was {asked.get(name)})"
            for name, value in self.asked.items()
            if asked.get(name) != value
        ]
        if differing:
            raise InputError(
                f"{place} holds answers of other settings; choose another "
                f"--predictions, or remove it. Differing: {', '.join(differing)}"
            )

    @contextlib.contextmanager
    def opened(self, list_images):
        """Begins, or goes on with what another process has begun.

        Args:
            list_images: Function that returns the folder of the images, and an iterable
                of their relative paths. It is not asked again when going on.
        """
        with locked(self.folder, self.folder):
            forget_unfinished(self.folder)
            begun = read_result(self.folder / _JOB)
            if begun is None:
                begun = self._begin(list_images)
            self._check_same(self.folder, begun["asked"])
            self.count, self._root = begun["images"], os.fsencode(begun["root"])
            yield

    def _begin(self, list_images):
        try:
            root, count = self._list(*list_images())
        except BaseException:
            shutil.rmtree(self.folder)  # nothing has begun
            raise
        self.summary_file.unlink(missing_ok=True)  # of a table that was removed
        begun = {"asked": self.asked, "root": str(root), "images": count}
        write_result(self.folder / _JOB, begun)
        return begun

    def _list(self, root, paths):
        count = 0
        with (
            whole_path(self.folder / _PATHS) as aside,
            open(aside, "wb") as file,
        ):
            for path in paths:
                file.write(os.fsencode(path) + _END)
                count += 1
        return root, count

    # === Images ===

    def images(self, numbers):
        """Yields the images of some shards, in order: a list for each shard.

        Args:
            numbers: Sorted sequence of integers, see `missing`.

        Yields:
            List of `(number, name)`: the number of the image in the whole list, and the
            name as it was listed, in bytes.
        """
        wanted, listed = set(numbers), enumerate(self._names())
        for shard in itertools.count():
            chunk = list(itertools.islice(listed, SHARD))
            if not chunk:
                return
            if shard in wanted:
                yield chunk

    def path(self, name):
        """Returns the path of an image, in bytes, by its name."""
        return os.path.join(self._root, name)

    def _names(self):
        rest = b""
        with open(self.folder / _PATHS, "rb") as file:
            while block := file.read(_BLOCK):
                *names, rest = (rest + block).split(_END)
                yield from names

    # === Shards ===

    def missing(self):
        """Returns the numbers of the shards that are not there yet, sorted."""
        return [
            number
            for number in range(-(-self.count // SHARD))
            if not self._shard(number).exists()
        ]

    def size(self, number):
        """Returns how many images a shard has."""
        return self.end(number) - number * SHARD

    def end(self, number):
        """Returns the number of the first image after a shard."""
        return min(self.count, (number + 1) * SHARD)

    def _shard(self, number):
        return self.folder / f"answers-{number:06}.jsonl"

    def write(self, number, rows):
        """Writes the rows of a shard, a list of dicts."""
        with open_whole(self._shard(number)) as file:
            for row in rows:
                file.write(json.dumps(row) + "\n")

    def rows(self):
        """Yields the rows of all shards, in order."""
        for number in range(-(-self.count // SHARD)):
            with open(self._shard(number), encoding="utf-8") as file:
                for line in file:
                    yield json.loads(line)

    def join(self, open_table, tally):
        """Writes the table and its summary, and removes the parts.

        Args:
            open_table: Function from a path to a context that gives a function, which
                adds a row.
            tally: Object that each row is given to by `add`, and whose `summary()` is
                that of all.

        Returns:
            The summary.
        """
        with whole_path(self.file) as aside, open_table(aside) as add:
            for row in self.rows():
                add(row)
                tally.add(row)
        found = {"asked": self.asked, **tally.summary()}
        write_result(self.summary_file, found)
        shutil.rmtree(self.folder)
        return found
