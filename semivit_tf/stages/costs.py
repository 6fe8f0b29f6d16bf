"""What stages took, over all starts of a run: `costs.jsonl`.

The file is the only one besides TensorBoard's that depends on the clock. A process that
is killed (SIGKILL) notes nothing of the stage that it was in.
"""

import contextlib
import json
import resource
import sys
import time

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


def costs(folder):
    """Returns what each stage took: a list of dicts of `stage`, `seconds`, `bytes`.

    Lines that a full disk has cut off are passed over.

    Args:
        folder: Path of the run.
    """
    if not (folder / FILE).exists():
        return []
    found = {}
    for text in (folder / FILE).read_text("utf-8", errors="replace").splitlines():
        try:
            line = json.loads(text)
            seconds, largest = float(line["seconds"]), int(line["bytes"])
            one = found.setdefault(str(line["stage"]), {"seconds": 0.0, "bytes": 0})
        except (KeyError, RecursionError, TypeError, ValueError):
            continue
        one["seconds"] += seconds
        one["bytes"] = max(one["bytes"], largest)
    return [{"stage": name, **one} for name, one in found.items()]
