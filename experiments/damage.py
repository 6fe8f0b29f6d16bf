"""What does a run answer when a file of its folder is damaged?

    python experiments/damage.py

A small pipeline on the digits is run to its end; in a copy of its folder, stage 3 is
done again and stopped inside. Then, in a copy of one of them each time, a file is
truncated, emptied, replaced by random bytes or by JSON of another shape, or gets one
bit flipped, and the same command is given again. It has to end with the files that an
undamaged run has, naming what it did instead of reading a file, or with one line and
exit code 2. Writes experiments/results/damage.json: how often it did which.
"""

import argparse
import collections
import contextlib
import io
import json
import os
import pathlib
import shutil
import signal
import sys
import tempfile

import numpy as np

ROOT = pathlib.Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))
COMMAND = "python experiments/damage.py"
RESULT = ROOT / "experiments" / "results" / "damage.json"
SEEDS = 200  # damages of each folder
STRIDE = 7919  # a prime: no number of files is a multiple of it
STAGES = "check,pretrain,finetune,semi_finetune"
FLAGS = """
--preset=published --labels_per_class=2 --validation_per_class=1 --backbone=vit
--patch_size=4 --width=8
--depth=1 --heads=2 --pretrain_epochs=2 --pretrain_warmup_epochs=0
--pretrain_decoder_width=8 --pretrain_decoder_depth=1 --pretrain_decoder_heads=2
--pretrain_mask_ratio=0.5 --finetune_epochs=3 --finetune_batch_size=20
--finetune_warmup_epochs=0 --semi_epochs=2 --semi_batch_size=20 --semi_warmup_epochs=0
--semi_threshold=0 --xla=off --deterministic --checkpoint_steps=5
""".split()
FINISHED, STOPPED = "finished", "stopped in stage 3"
FOLDERS = {
    FINISHED: f"--stages={STAGES},evaluate,export",
    STOPPED: f"--stages={STAGES}",
}
STOPPED_AT = 20  # steps of stage 3, inside its second epoch
# What a run with these stages has to read again. A file that it does not read, such as
# a checkpoint of a finished stage or a picture, may stay as it is.
READ = ("DONE", "evaluation.", "export.json", "export_choice.json", "export/")
READ += ("split.csv",)
APPENDED = "costs.jsonl"  # only the report reads it
OTHER_JSON = (
    "{}",
    "[]",
    "null",
    "3",
    '"text"',
    '{"epoch": "three"}',
    '{"flags": [], "results": {}}',
    '{"flags": {"seed": []}, "1": 5, "results": [1], "best": 0}',
    "[" * 100_000,
)


def damage(kind, content, draws):
    """Returns the content of a file after damage of a kind."""
    if kind == "truncated":
        return content[: draws.integers(max(1, len(content)))]
    if kind == "emptied":
        return b""
    if kind == "random bytes":
        return draws.bytes(len(content) or 16)
    if kind == "other JSON":
        return OTHER_JSON[draws.integers(len(OTHER_JSON))].encode()
    place = draws.integers(max(1, len(content)))
    changed = bytearray(content or b"x")
    changed[place] ^= 1 << draws.integers(8)
    return bytes(changed)


KINDS = ("truncated", "emptied", "random bytes", "other JSON", "a bit flipped")


def command_line(*flags):
    """Returns the exit code of a run, and what it has said and complained of."""
    from semivit_tf.cli import main as run

    said, errors = io.StringIO(), io.StringIO()
    with contextlib.redirect_stdout(said), contextlib.redirect_stderr(errors):
        code = run(["main.py", *FLAGS, *flags])
    return code, said.getvalue(), errors.getvalue()


def run_to_the_end(folder):
    """Runs the stages in a new folder."""
    code, said, errors = command_line(f"--workdir={folder}", FOLDERS[FINISHED])
    if code:
        raise SystemExit(f"The undamaged run failed: {said}{errors}")


def stop_inside(whole, folder):
    """Copies a finished folder and does stage 3 in it again, but for its last steps."""
    from semivit_tf.training.checkpoints import Checkpoints

    shutil.copytree(whole, folder)
    for name in ("semi_finetune", "export"):
        shutil.rmtree(folder / name)
    made = ("evaluation.json", "evaluation.safetensors", "export.json")
    for name in (*made, "export_choice.json"):
        (folder / name).unlink()
    save = Checkpoints.save

    def save_and_stop(self, model, position):
        save(self, model, position)
        if "semi_finetune" in str(self.folder) and position.step == STOPPED_AT:
            os.kill(os.getpid(), signal.SIGTERM)

    Checkpoints.save = save_and_stop
    try:
        code, said, errors = command_line(f"--workdir={folder}", FOLDERS[STOPPED])
    finally:
        Checkpoints.save = save
    if code != 128 + signal.SIGTERM:
        raise SystemExit(f"The run was not stopped: {said}{errors}")


def files(folder):
    """Returns a dict of the name of each file to its bytes."""
    paths = sorted(path for path in folder.rglob("*") if path.is_file())
    return {str(path.relative_to(folder)): path.read_bytes() for path in paths}


def promised(folder):
    """Returns what an undamaged and a damaged run should have in common."""
    return {
        name: content
        for name, content in files(folder).items()
        if name.split("/")[0] not in ("export", "export.json")
        and "/checkpoints/step-" not in name
        and not any(part in name for part in ("tensorboard/", "config.json", APPENDED))
    }


def outcome(folder, name, damaged, expected, stages):
    """Runs in a folder with a damaged file; returns what came of it, or an error.

    Args:
        folder: Path.
        name: String, the file.
        damaged: Bytes that it has.
        expected: Dict of what `promised` should return after the run.
        stages: String, the flag.

    Returns:
        Tuple of a word, and of what is wrong about it or an empty string.
    """
    code, said, errors = command_line(f"--workdir={folder}", stages)
    if code == 2:
        lines = [line for line in errors.splitlines() if line.startswith("semivit_tf:")]
        good = len(lines) == 1 and "Traceback" not in errors
        return "refused in one line", "" if good else errors
    if code:
        return "other code", f"{code}: {errors}"
    found, left = promised(folder), files(folder).get(name)
    same = left.startswith(damaged) if name == APPENDED else left == damaged
    unread = same and not any(part in name for part in READ)
    if unread:
        found[name] = expected.get(name)
    wrong = [one for one in expected if found.get(one) != expected[one]]
    if wrong or (left == damaged and not unread):
        return "another result", f"{wrong or name}: {said[-800:]}{errors[-800:]}"
    if unread:
        return "not read", ""
    named = pathlib.Path(name).name in said + errors or name.split("/")[0] in said
    return "named, and made or read otherwise", "" if named else said + errors


def measure(title, start, expected, seeds):
    """Damages files of a folder; returns how often which answer came, and faults.

    Args:
        title: String, the folder's in `FOLDERS`.
        start: Path of the folder; it is copied.
        expected: See `outcome`.
        seeds: Integer.
    """
    contents, work = files(start), start.parent / "work"
    answers, wrong = collections.Counter(), []
    for seed in range(seeds):
        draws = np.random.default_rng(seed)
        name = list(contents)[seed * STRIDE % len(contents)]
        kind = KINDS[(seed + seed // len(contents)) % len(KINDS)]
        damaged = damage(kind, contents[name], draws)
        shutil.rmtree(work, ignore_errors=True)
        shutil.copytree(start, work)
        (work / name).write_bytes(damaged)
        try:
            answer, fault = outcome(work, name, damaged, expected, FOLDERS[title])
        except Exception as error:
            answer, fault = "exception", repr(error)
        answers[answer] += 1
        print(f"{title} {seed}: {name} {kind}: {answer}", file=sys.stderr, flush=True)
        if fault:
            wrong.append(f"{title} {seed}: {name} {kind}: {answer}: {fault}")
    found = {"damages": seeds, "files": len(contents), "answers": dict(answers)}
    return found, wrong


def measure_both(seeds):
    """Returns the result of both folders, and what is wrong."""
    with tempfile.TemporaryDirectory() as place:
        whole, stopped = pathlib.Path(place) / "whole", pathlib.Path(place) / "stopped"
        run_to_the_end(whole)
        stop_inside(whole, stopped)
        expected = promised(whole)
        finished, wrong = measure(FINISHED, whole, expected, seeds)
        for name in ("evaluation.json", "evaluation.safetensors", "export_choice.json"):
            del expected[name]
        unfinished, more = measure(STOPPED, stopped, expected, seeds)
    return {FINISHED: finished, STOPPED: unfinished}, wrong + more


def table(result):
    """Returns the result as a Markdown table."""
    answers = sorted({a for title in FOLDERS for a in result[title]["answers"]})
    lines = [
        "| run | files | damages | " + " | ".join(answers) + " |",
        "|---|" + "---|" * (len(answers) + 2),
    ]
    for title in FOLDERS:
        found = result[title]
        cells = [title, found["files"], found["damages"]]
        cells += [found["answers"].get(answer, 0) for answer in answers]
        lines.append("| " + " | ".join(map(str, cells)) + " |")
    return "\n".join(lines)


def main():
    """Damages, compares and writes the result, and prints the table made from it."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--table", action="store_true", help="print the table only")
    parser.add_argument("--seeds", type=int, default=SEEDS, help="damages of a folder")
    parser.add_argument("--result", type=pathlib.Path, default=RESULT)
    given = parser.parse_args()
    if not given.table:
        found, wrong = measure_both(given.seeds)
        if wrong:
            raise SystemExit("\n".join(["Not as it should be:", *wrong]))
        given.result.write_text(
            json.dumps({"command": COMMAND, **found}, indent=2) + "\n"
        )
    print(table(json.loads(given.result.read_text())))


if __name__ == "__main__":
    main()
