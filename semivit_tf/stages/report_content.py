"""What a report says, read from the files of a run folder; images come later."""

import contextlib
import importlib.metadata
import json
import pathlib
import shlex

import tensorflow as tf

from semivit_tf.backbones import brings_weights
from semivit_tf.config import Config
from semivit_tf.data.check_report import PARTS
from semivit_tf.data.check_report_text import describe
from semivit_tf.evaluation.comparison import HELPED, HURT, UNCLEAR
from semivit_tf.report.accuracy import intervals, title_of
from semivit_tf.report.balance import balance
from semivit_tf.report.confusion import confusion
from semivit_tf.report.curves import curves_of
from semivit_tf.report.pictures import drawn
from semivit_tf.report.reliability import reliability
from semivit_tf.stages.costs import costs
from semivit_tf.stages.gains import comparisons, sentences
from semivit_tf.stages.json_lines import json_lines
from semivit_tf.stages.starting_weights import Source

_MOODS = {HELPED: "good", HURT: "bad", UNCLEAR: "even"}
_TOLD = ("workdir",)  # flags that the command and the page tell of anyway


def read_json(run, name):
    """Returns the content of a JSON file of the run, or None; says why not."""
    file = run.folder.path / name
    if not file.exists():
        return None
    try:
        content = json.loads(file.read_text(encoding="utf-8"))
        if not isinstance(content, dict):
            raise ValueError(
                f"it should be an object of JSON, and is a {type(content)}"
            )
        return content
    except (RecursionError, ValueError) as error:
        run.say(f"{file} cannot be understood and is left out of the report: {error}")
        return None


@contextlib.contextmanager
def left_out_if_damaged(run, file):
    """Says in a line that what a damaged file holds is left out of the report."""
    try:
        yield
    except (AttributeError, IndexError, KeyError, TypeError, ValueError) as error:
        run.say(
            f"{file} is not as it was written and is left out of the report: "
            f"{type(error).__name__} {error}"
        )


def name_of_data(run):
    """Returns what a person calls the images."""
    settings = run.config.data
    return pathlib.PurePath(settings.data_dir or settings.dataset).name


# === Verdict and classes ===


def verdict(evaluation):
    """Returns the headline: a sentence, further ones, and in which mood they are."""
    part = evaluation and evaluation.get("part")
    if part is None or not evaluation["results"]:
        return {
            "sentence": "Not known: nothing was evaluated.",
            "further": [],
            "mood": "even",
        }
    found = list(comparisons(evaluation).values())
    said = sentences(evaluation)
    answer = found[0]["answer"] if found and found[0] else UNCLEAR
    if not found:
        row = main_row(evaluation)
        share = f"{100 * row['accuracy']:.1f} % of {row['images']} {part} images"
        sentence = f"Nothing to compare with: {title_of(row)} is right on {share}."
        return {"sentence": sentence, "further": said, "mood": "even"}
    return {"sentence": said[0], "further": said[1:], "mood": _MOODS[answer]}


def main_row(evaluation):
    """Returns the row of the network that is exported, or else of the last one."""
    rows = evaluation["results"]
    exported = [row for row in rows if row.get("exported")]
    return exported[0] if exported else rows[-1]


def name_of(row):
    """Returns the name of a row's network in the predictions."""
    best = ["best"] if row["checkpoint"] == "best" else []
    return " ".join([row["stage"], row["weights"], *best])


def tested(evaluation):
    """Returns the accuracies, and the classes of the network that is exported."""
    if not evaluation or not evaluation["results"]:
        return None
    row, part = main_row(evaluation), evaluation["part"]
    results = [{**one, "title": title_of(one)} for one in evaluation["results"]]
    compared = comparisons(evaluation).items()
    names = [one["name"] for one in row["classes"]]
    return {
        "part": part,
        "images": row["images"],
        "results": results,
        "intervals": intervals(results, part),
        "comparisons": [{"name": name, **one} for name, one in compared if one],
        "title": title_of(row),
        "classes": row["classes"],
        "confusion": confusion(row["confusion"], names),
    }


def calibration(evaluation):
    """Returns the reliability of the exported network's confidences, or None.

    Where temperatures were fitted, it is shown before and after.
    """
    row = evaluation and evaluation["results"] and main_row(evaluation)
    if not row or "calibration" not in row:
        return None
    found = {"as learned": row["calibration"]}
    temperatures = {"as learned": None}
    if "after" in row["calibration"]:
        fitted = sorted(set(row["calibration"]["fitted"]["temperatures"]))
        found["calibrated"] = row["calibration"]["after"]
        ends = fitted[:: max(1, len(fitted) - 1)]
        temperatures["calibrated"] = " to ".join(f"{one:.2f}" for one in ends)
    rows = [
        {
            "name": title,
            "ece": one["ece"],
            "brier": one["brier"],
            "temperature": temperatures[title],
        }
        for title, one in found.items()
    ]
    return {"plots": reliability(found), "rows": rows}


# === What cannot be known ===


def unknown(run, evaluation):
    """Returns sentences on what this run leaves open."""
    split, found = run.data.split, []
    if run.data.parts.test is None:
        found.append(
            "How accurate it is on new images: there are no test images."
            + (" Validation images took their place." if len(split.validation) else "")
        )
    if not len(split.validation):
        found.append(
            "Which epoch was the best, and whether the last stage is worse than the "
            "one before it, without looking at test images: there are no validation "
            "images."
        )
    if evaluation is None:
        found.append("How accurate any network is: the run was not evaluated.")
    return found


# === Data, learning and the run ===


def data(run, check):
    """Returns what the check found out about the images."""
    if check is None:
        return {"checked": None}
    parts = [part for part in PARTS if check["parts"][part]]
    return {
        "checked": check,
        "check_text": describe(check),
        "parts": parts,
        "balance": balance(check["classes"], parts),
    }


def learned(run):
    """Returns the curves and pictures of all stages that left some."""
    found = []
    for stage in run.pipeline:
        folder = run.stage_folder(stage)
        epochs = lines_of(run, folder.path / "metrics.jsonl")
        pictures = [_picture_of(run, stage)] if run.config.run.report_images else []
        pictures = [one for one in pictures if one]
        if epochs or pictures:
            found.append(
                {
                    "name": stage.name,
                    "summary": _summary(run, folder)
                    if folder.done
                    else "Not finished.",
                    "curves": curves_of(stage.name, epochs),
                    "pictures": pictures,
                }
            )
    return found


def lines_of(run, file):
    """Returns the lines of `metrics.jsonl` as dicts."""

    def read(line):
        if not isinstance(line["epoch"], int):
            raise TypeError
        return line

    return json_lines(run, file, read)


def _summary(run, folder):
    done, texts = folder.summary(), []
    if "started_from" in done:
        start, backbone = done["started_from"], run.config.backbone.backbone
        own = start == Source().name and brings_weights(backbone)
        texts.append(f"Started from {'the weights of --backbone' if own else start}")
    if "epochs" in done:
        texts.append(f"{done['epochs']} epochs")
    if "best" in done:
        best = done["best"]
        texts.append(
            f"best epoch {best['epoch']}, {best['metric']} {best['value']:.3f}"
        )
    if "images_per_class" in done:
        texts.append(f"{done['images_per_class']} images of each class")
    return ", ".join(texts) + "." if texts else ""


def _picture_of(run, stage):
    files = sorted((run.stage_folder(stage).path / "pictures").glob("*.png"))
    if not files:
        return None
    try:
        return drawn(files[-1], f"Pictures that {stage.name} has drawn, the last ones")
    except tf.errors.InvalidArgumentError:
        run.say(f"{files[-1]} cannot be decoded and is left out of the report")
        return None


def about_run(run):
    """Returns the command, the flags, versions, and what the run has cost."""
    described = read_json(run, "config.json") or {}
    flags = described.get("flags", {})
    defaults = Config.from_flags({}).flags()
    different = [
        {"flag": flag, "value": value, "default": defaults.get(flag)}
        for flag, value in flags.items()
        if flag not in _TOLD and value not in (None, defaults.get(flag))
    ]
    return {
        "command": shlex.join(described.get("command", [])),
        "flags": different,
        "seed": flags.get("seed", run.config.run.seed),
        "derived": described.get("derived", {}),
        "versions": described.get("versions", {}),
        "processors": described.get("processors"),
        "costs": costs(run),
        "package": _version(),
    }


def _version():
    try:
        return importlib.metadata.version("semivit-tf")
    except importlib.metadata.PackageNotFoundError:
        return "(not installed)"
