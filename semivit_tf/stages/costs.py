"""What stages took, over all starts of a run: `costs.jsonl`.

The file is the only one besides TensorBoard's that depends on the clock. A process that
is killed (SIGKILL) notes nothing of the stage that it was in.
"""

import contextlib
import json
import resource
import sys
import time

from semivit_tf.stages.json_lines import json_lines

FILE = "costs.jsonl"


@contextlib.contextmanager
def noted(run, stage):
    """Notes what a stage takes that finishes in this block, or is stopped in it."""
    folder = run.stage_folder(stage)
    if folder.done or not run.is_chief:
        yield
        return
    began = time.monotonic()
    try:
        yield
    finally:
        if folder.done or (stage.kind.trains and folder.begun):
            _note(run, stage.name, time.monotonic() - began)


def _note(run, name, seconds):
    unit = 1 if sys.platform == "darwin" else 1024
    largest = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit
    line = {"stage": name, "seconds": round(seconds, 3), "bytes": largest}
    # Where the disk is full, there is a more important error on its way.
    with contextlib.suppress(OSError), open(run.folder.path / FILE, "a") as file:
        file.write(json.dumps(line) + "\n")


def costs(run):
    """Returns what each stage took: a list of dicts of `stage`, `seconds`, `bytes`."""
    found = {}
    for name, seconds, largest in json_lines(run, run.folder.path / FILE, _read):
        one = found.setdefault(name, {"seconds": 0.0, "bytes": 0})
        one["seconds"] += seconds
        one["bytes"] = max(one["bytes"], largest)
    return [{"stage": name, **one} for name, one in found.items()]


def _read(line):
    return str(line["stage"]), float(line["seconds"]), int(line["bytes"])
