"""Does a run that is killed again and again end like one that was left alone?

    python experiments/kills.py

A small pipeline on the digits, its operations deterministic, is run once untouched, and
then killed (SIGKILL) inside each of its stages at random moments, and started again,
until it comes to its end. This is done on one device, on two replicas, on one device
with DINO in place of MAE, with two workers, one of which is killed, and on one device
with all stages of DPT. All files that docs/running.md promises have to be the same
bytes. Writes experiments/results/kills.json: how often each stage was hit.
"""

import argparse
import collections
import json
import os
import pathlib
import random
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1]))

from semivit_tf.config.stage_names import (
    FOREIGN,
    LABELLING,
    NEW_IMAGES,
    PIPELINE_STAGES,
)

ROOT = pathlib.Path(__file__).resolve().parents[1]
COMMAND = "python experiments/kills.py"
RESULT = ROOT / "experiments" / "results" / "kills.json"
FLAGS = """
--preset=published --labels_per_class=2 --validation_per_class=1 --backbone=vit
--patch_size=4 --width=16
--depth=2 --heads=2 --pretrain_epochs=24 --pretrain_warmup_epochs=0
--pretrain_decoder_width=8 --pretrain_decoder_depth=1 --pretrain_decoder_heads=2
--pretrain_mask_ratio=0.5 --finetune_epochs=120 --finetune_batch_size=20
--finetune_warmup_epochs=0 --semi_epochs=12 --semi_batch_size=20 --semi_threshold=0.1
--semi_warmup_epochs=0 --checkpoint_seconds=0.3 --xla=off --deterministic
--workdir=run
""".split()
_NOT_BY_DEFAULT = (FOREIGN, *LABELLING, *NEW_IMAGES)
STAGES, DPT_STAGES = (
    tuple(name for name in PIPELINE_STAGES[pipeline] if name not in _NOT_BY_DEFAULT)
    for pipeline in ("semi_vit", "dpt")
)
FLAGS.append(f"--stages={','.join(STAGES)}")
DINO = """
--pretrain_method=dino --pretrain_epochs=24 --pretrain_batch_size=200
--pretrain_dino_outputs=16 --pretrain_dino_hidden_width=8
--pretrain_dino_bottleneck_width=6 --pretrain_dino_local_crops=2
""".split()
# Epochs of one step: a checkpoint has the means over an epoch of the first worker only.
WORKERS = """
--strategy=multi_worker --pretrain_batch_size=1400 --pretrain_epochs=40
--semi_unlabeled_per_labeled=70 --semi_epochs=16
""".split()
DPT = f"""
--pipeline=dpt --stages={",".join(DPT_STAGES)} --pretrain_epochs=6
--finetune_epochs=40 --semi_epochs=4 --generator_epochs=3 --generator_batch_size=64
--generator_width=16 --generator_depth=2 --generator_heads=2
--generate_images_per_class=210 --generate_steps=4 --judge_epochs=3
--judge_images_per_class=4
""".split()
# The flags of each, the stages to kill in, and how often in each of them.
PIPELINES = {
    "one device": ([], STAGES, 4),
    "two replicas": (["--strategy=mirrored", "--logical_cpus=2"], STAGES, 4),
    "one device, DINO": (DINO, ("pretrain", "probe"), 2),
    "two workers": (WORKERS, STAGES, 1),
    "one device, DPT": (DPT, DPT_STAGES, 1),
}
AT_ONCE = 2  # kills in a stage of one run; for more there are more runs
# TensorBoard's file holds clock times, and a SavedModel the numbers that TensorFlow
# gives to functions as they are traced, which a resumed process counts otherwise.
DIFFERS = ("tensorboard/", "export/1/saved_model.pb", "export/1/fingerprint.pb")
DIFFERS += ("export/1/variables/", "export.json", "costs.jsonl", "report.")


# === One process ===


def run_and_be_killed(target, seconds, report, flags):
    """Runs the command line; kills itself so long after a stage has begun.

    Args:
        target: Name of the stage, or an empty string.
        seconds: Float.
        report: File for a dict of each stage to the seconds that it took.
        flags: Sequence of strings.
    """
    from semivit_tf.cli import main as run
    from semivit_tf.stages.stage_table import PIPELINES as TABLE

    times = {}

    def timed(carry_out):
        def carry_out_on_time(settled, stage):
            ending = threading.Timer(seconds, os.kill, (os.getpid(), signal.SIGKILL))
            if stage.name == target:
                ending.start()
            started = time.monotonic()
            try:
                return carry_out(settled, stage)
            finally:
                ending.cancel()
                times[stage.name] = time.monotonic() - started

        return carry_out_on_time

    kinds = {id(s.kind): s.kind for stages in TABLE.values() for s in stages}
    for kind in kinds.values():
        kind.carry_out = timed(kind.carry_out)
    code = run(["main.py", *flags])
    pathlib.Path(report).write_text(json.dumps(times))
    return code


def start(folder, flags, target="", seconds=0.0, worker=""):
    """Starts the pipeline in the folder `run` of a folder, see `run_and_be_killed`."""
    script, report = str(pathlib.Path(__file__).resolve()), str(folder / "times.json")
    killed = f"--kill={target}", f"--after={seconds}", f"--report={report}{worker}"
    command = [sys.executable, script, *killed, "--", *FLAGS, *flags]
    (folder / "said.txt").touch()
    with open(folder / "said.txt", "ab") as said:
        return subprocess.Popen(command, cwd=folder, stdout=said, stderr=said)


def start_workers(folder, flags, target="", seconds=0.0, killed=0):
    """Starts two workers, one of which is killed."""
    sockets = [socket.socket() for _ in range(2)]
    for one in sockets:
        one.bind(("localhost", 0))
    addresses = [f"localhost:{one.getsockname()[1]}" for one in sockets]
    for one in sockets:
        one.close()
    processes = []
    for number in range(2):
        task = {"cluster": {"worker": addresses}}
        task["task"] = {"type": "worker", "index": number}
        os.environ["TF_CONFIG"] = json.dumps(task)
        hit = (target, seconds) if number == killed else ("", 0.0)
        worker = "" if number == 0 else ".other"
        processes.append(start(folder, flags, *hit, worker))
    del os.environ["TF_CONFIG"]
    return processes


def attempt(folder, flags, *kill, other=0):
    """Runs the pipeline once; returns whether it was killed.

    Of two workers, the other one has to end by itself.
    """
    if "--strategy=multi_worker" in flags:
        processes = start_workers(folder, flags, *kill, killed=other)
    else:
        processes = [start(folder, flags, *kill)]
    codes = [process.wait() for process in processes]
    if -signal.SIGKILL in codes:
        codes.remove(-signal.SIGKILL)
        if codes not in ([], [2]):
            raise SystemExit(f"The other worker in {folder} ended with {codes}")
        return True
    if any(codes):
        raise SystemExit(f"The run failed: {(folder / 'said.txt').read_text()}")
    return False


# === All of them ===


def results(folder):
    """Returns what has to be the same: a dict of name to bytes."""
    found, latest = {}, {}
    for path in sorted(path for path in (folder / "run").rglob("*") if path.is_file()):
        name = str(path.relative_to(folder / "run"))
        if path.name.startswith("step-"):
            latest[path.parent] = name, path.read_bytes()  # the others depend on time
        elif not any(part in name for part in DIFFERS):
            found[name] = path.read_bytes()
    served = served_weights(folder / "run" / "export" / "1")
    return {**found, **dict(latest.values()), "export/1": served}


def served_weights(version):
    """Returns the weights in a SavedModel, without how TensorFlow lists them."""
    import tensorflow as tf

    reader = tf.train.load_checkpoint(str(version / "variables" / "variables"))
    names = sorted(reader.get_variable_to_shape_map())
    weights = [name for name in names if not name.startswith("_CHECKPOINTABLE")]
    if not weights:
        raise SystemExit(f"No weights in {version}")
    return b"".join(
        name.encode() + reader.get_tensor(name).tobytes()
        for name in names
        if name in weights
    )


def end_with_kills(folder, flags, kills, seconds, draws):
    """Kills and starts a run until it comes to its end; yields the stages.

    Args:
        folder: Path.
        flags: Sequence of strings.
        kills: Dict of stage to how often to kill in it.
        seconds: Dict of stage to how long it takes; shortened where it was faster.
        draws: `random.Random`.
    """
    folder.mkdir()
    for number, (stage, times) in enumerate(kills.items()):
        trains = stage in ("pretrain", "finetune", "semi_finetune")
        for _ in range(times):
            after = seconds[stage] * draws.uniform(0.1, 0.6)
            # The chief alone does what is not training.
            if not attempt(folder, flags, stage, after, other=number % 2 * trains):
                # The stage was faster than before, and so the run is done.
                took = json.loads((folder / "times.json").read_text())
                seconds[stage] = min(seconds[stage], took[stage])
                return
            print(f"killed in {stage} after {after:.2f} s", file=sys.stderr, flush=True)
            yield stage
    if attempt(folder, flags):
        raise SystemExit(f"The run in {folder} was killed by somebody else")


def measure(flags, stages, wanted, folder):
    """Returns how often each stage was hit, and how many runs came to their end."""
    draws, hit, runs = random.Random(0), collections.Counter(), 0
    whole = folder / "whole"
    whole.mkdir()
    attempt(whole, flags)
    expected = results(whole)
    seconds = json.loads((whole / "times.json").read_text())
    while kills := {
        stage: min(wanted - hit[stage], AT_ONCE)
        for stage in stages
        if hit[stage] < wanted
    }:
        broken, runs = folder / f"broken{runs}", runs + 1
        hit.update(end_with_kills(broken, flags, kills, seconds, draws))
        found = results(broken)
        different = [name for name in expected if found.get(name) != expected[name]]
        if different or len(found) != len(expected):
            raise SystemExit(f"Not the same in {broken}: {different or sorted(found)}")
    return {"kills": dict(hit), "runs": runs, "files": len(expected)}


def table(result):
    """Returns the result as a Markdown table."""
    measured = {name: result[name] for name in PIPELINES if name in result}
    rows = [["kills in", *measured]]
    for stage in DPT_STAGES:
        kills = (found["kills"].get(stage, "") for found in measured.values())
        rows.append([stage, *kills])
    for title, name in (
        ("runs, all as the untouched one", "runs"),
        ("files compared", "files"),
    ):
        rows.append([title, *(found[name] for found in measured.values())])
    lines = ["| " + " | ".join(map(str, row)) + " |" for row in rows]
    return "\n".join([lines[0], "|---|" + "---|" * len(measured), *lines[1:]])


def main():
    """Kills, compares and writes the result, and prints the table made from it."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--table", action="store_true", help="print the table only")
    parser.add_argument("--only", choices=list(PIPELINES), help="one pipeline")
    parser.add_argument("--kill", help=argparse.SUPPRESS)
    parser.add_argument("--after", type=float, help=argparse.SUPPRESS)
    parser.add_argument("--report", help=argparse.SUPPRESS)
    parser.add_argument("flags", nargs="*", help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.report:
        sys.exit(run_and_be_killed(given.kill, given.after, given.report, given.flags))
    if not given.table:
        found = json.loads(RESULT.read_text()) if given.only else {"command": COMMAND}
        for name, pipeline in PIPELINES.items():
            if given.only in (None, name):
                with tempfile.TemporaryDirectory() as folder:
                    found[name] = measure(*pipeline, pathlib.Path(folder))
                print(name, found[name], file=sys.stderr, flush=True)
                RESULT.write_text(json.dumps(found, indent=2) + "\n")
    print(table(json.loads(RESULT.read_text())))


if __name__ == "__main__":
    main()
