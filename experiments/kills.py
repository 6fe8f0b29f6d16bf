"""Does a run that is killed again and again end like one that was left alone?

    python experiments/kills.py

A small pipeline on the digits, its operations deterministic, is run once untouched and
then killed (SIGKILL) at random moments and started again until --kills of them happened
and it came to its end; as often as it takes. This is done on one device, on two
replicas, and on one device with DINO in place of MAE. Weights, `metrics.jsonl` of all
stages and `evaluation.json` have to be the same bytes. Writes
experiments/results/kills.json: how often each stage was hit.
"""

import argparse
import collections
import json
import pathlib
import random
import signal
import subprocess
import sys
import tempfile
import time

ROOT = pathlib.Path(__file__).resolve().parents[1]
COMMAND = "python experiments/kills.py"
RESULT = ROOT / "experiments" / "results" / "kills.json"
KILLS = 20
STAGES = ("check", "pretrain", "finetune", "semi_finetune")
LAST = "evaluate or export"
FLAGS = """
--labels_per_class=2 --validation_per_class=1 --backbone=vit --patch_size=4 --width=16
--depth=2 --heads=2 --pretrain_epochs=24 --pretrain_warmup_epochs=0
--pretrain_decoder_width=8 --pretrain_decoder_depth=1 --pretrain_decoder_heads=2
--pretrain_mask_ratio=0.5 --finetune_epochs=120 --finetune_batch_size=20
--finetune_warmup_epochs=0 --semi_epochs=12 --semi_batch_size=20 --semi_threshold=0.1
--semi_warmup_epochs=0 --checkpoint_seconds=0.5 --xla=off --deterministic
""".split()
DINO = """
--pretrain_method=dino --pretrain_epochs=24 --pretrain_batch_size=200
--pretrain_dino_outputs=16 --pretrain_dino_hidden_width=8
--pretrain_dino_bottleneck_width=6 --pretrain_dino_local_crops=2
""".split()
PIPELINES = {
    "one device": [],
    "two replicas": ["--strategy=mirrored", "--logical_cpus=2"],
    "one device, DINO": DINO,
}


def start(folder, flags):
    """Starts the pipeline in a folder."""
    command = [sys.executable, "main.py", *FLAGS, *flags, f"--workdir={folder}"]
    quiet = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
    return subprocess.Popen(command, cwd=ROOT, **quiet)


def results(folder):
    """Returns what has to be the same: a dict of name to bytes."""
    patterns = "*/weights/**/*.safetensors", "*/metrics.jsonl", "evaluation.json"
    files = [path for pattern in patterns for path in folder.glob(pattern)]
    return {str(path.relative_to(folder)): path.read_bytes() for path in files}


def stage_of(folder):
    """Returns the stage that a run is in."""
    for stage in STAGES:
        if not (folder / stage / "DONE").exists():
            return stage
    return LAST


def end_with_kills(folder, flags, draws, longest, kills, hit):
    """Kills and starts a run until it comes to its end; counts kills by stage."""
    while True:
        process = start(folder, flags)
        try:
            # Enough are killed: this one may come to its end.
            enough = sum(hit.values()) >= kills
            process.wait(None if enough else draws.uniform(2.0, longest))
            if process.returncode:
                raise SystemExit(f"The run in {folder} failed: {process.returncode}")
            return
        except subprocess.TimeoutExpired:
            stage = stage_of(folder)
            process.send_signal(signal.SIGKILL)
            process.wait()
            hit[stage] += 1
            print(f"killed in {stage}", file=sys.stderr, flush=True)


def measure(flags, kills, folder):
    """Returns how often each stage was hit, and how many runs came to their end."""
    draws = random.Random(0)
    started = time.monotonic()
    if start(folder / "whole", flags).wait():
        raise SystemExit("The untouched run failed")
    longest = (time.monotonic() - started) * 0.6
    expected = results(folder / "whole")
    hit, ended = collections.Counter(), 0
    while sum(hit.values()) < kills:
        broken = folder / f"broken{ended}"
        end_with_kills(broken, flags, draws, longest, kills, hit)
        found = results(broken)
        different = [name for name in expected if found.get(name) != expected[name]]
        if different or len(found) != len(expected):
            raise SystemExit(f"Not the same in {broken}: {different or sorted(found)}")
        ended += 1
    return {"kills": dict(hit), "runs": ended, "files": len(expected)}


def table(result):
    """Returns the result as a Markdown table."""
    columns = (*STAGES, LAST)
    lines = [
        "| killed in | " + " | ".join(columns) + " | runs | files compared |",
        "|---|" + "---|" * (len(columns) + 2),
    ]
    for name in PIPELINES:
        found = result[name]
        cells = [str(found["kills"].get(column, 0)) for column in columns]
        cells += [
            f"{found['runs']}, all as the untouched one",
            str(found["files"]),
        ]
        lines.append(f"| {name} | " + " | ".join(cells) + " |")
    return "\n".join(lines)


def main():
    """Kills, compares and writes the result, and prints the table made from it."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--table", action="store_true", help="print the table only")
    parser.add_argument("--kills", type=int, default=KILLS, help="of each pipeline")
    arguments = parser.parse_args()
    if not arguments.table:
        found = {"command": COMMAND}
        for name, flags in PIPELINES.items():
            with tempfile.TemporaryDirectory() as folder:
                found[name] = measure(flags, arguments.kills, pathlib.Path(folder))
            print(name, found[name], file=sys.stderr, flush=True)
        RESULT.parent.mkdir(parents=True, exist_ok=True)
        RESULT.write_text(json.dumps(found, indent=2) + "\n")
    print(table(json.loads(RESULT.read_text())))


if __name__ == "__main__":
    main()
