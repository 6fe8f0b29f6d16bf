"""What a sweep has found out so far: one file, from which it also goes on."""

import json
import pathlib

from semivit_tf.config.settings import InputError
from semivit_tf.stages.result_file import read_result, write_result
from semivit_tf.stages.stage_table import PIPELINES
from semivit_tf.sweep.measures import measures_of
from semivit_tf.sweep.ways import WAYS

FILE = "sweep.json"


class Results:
    """The measures of each number of labels, seed and way.

    Args:
        folder: Path of the sweep.
        about: Dict, JSON-ready: what the results are of, as `flags`, `cnn_flags` and
            `images`. Results of something else in the folder are refused.
        shown: Dict, JSON-ready: what may differ, such as `labels`, `seeds`, `ways`.
    """

    def __init__(self, folder, about, shown):
        self.path = pathlib.Path(folder) / FILE
        found = read_result(self.path)
        if found is not None:
            _check_same(found, about, self.path)
        cells = {} if found is None else found["results"]
        self.content = {**about, **shown, "results": cells}

    def has(self, labels, seed, way):
        """Returns whether a way has been measured."""
        return way in self.of(labels, seed)

    def of(self, labels, seed):
        """Returns a dict of way to its measures."""
        return self.content["results"].get(str(labels), {}).get(str(seed), {})

    def add(self, labels, seed, found):
        """Adds a dict of way to measures, and writes the file."""
        cells = self.content["results"]
        cells.setdefault(str(labels), {}).setdefault(str(seed), {}).update(found)
        in_order = {str(n): cells[str(n)] for n in sorted(map(int, cells))}
        self.content["results"] = in_order
        write_result(self.path, self.content)


def _check_same(found, about, path):
    differing = []
    for group, now in about.items():
        before = found.get(group)
        if isinstance(now, dict) and isinstance(before, dict):
            differing += [
                f"{group} {name}: {now.get(name)!r} (was {before.get(name)!r})"
                for name in sorted({*now, *before})
                if now.get(name) != before.get(name)
            ]
        elif json.loads(json.dumps(now)) != before:
            differing.append(f"{group}: {now!r} (was {before!r})")
    if differing:
        raise InputError(
            f"{path} holds a sweep of other settings or images; choose another "
            f"--workdir. Differing: {', '.join(differing[:5])}"
        )


def measured_run(config, ways, coarse=None):
    """Returns a dict of way to measures, from the evaluation of a finished run.

    Args:
        config: `Config` of the run.
        ways: Names of ways.
        coarse: See `measures_of`.
    """
    path = pathlib.Path(config.run.workdir) / "evaluation.json"
    rows = (read_result(path) or {"results": []})["results"]
    found = {}
    for way in ways:
        (stage,) = [s for s in PIPELINES["semi_vit"] if s.name == WAYS[way].stage]
        answers = stage.kind.answers(getattr(config, stage.settings))
        of_way = [
            row
            for row in rows
            if (row["stage"], row["weights"]) == (stage.name, answers)
            and row["handed_on"]
        ]
        if len(of_way) != 1:
            raise InputError(f"{path} should have one result of {stage.name} {answers}")
        found[way] = measures_of(of_way[0], of_way[0]["labels_used"], coarse)
    return found
