"""The kind of stage that makes a page of what a run has left, for a person to read."""

import hashlib
import json

from semivit_tf.checksum import digest_of
from semivit_tf.report.page import render, template_text
from semivit_tf.stages import report_content as said
from semivit_tf.stages import report_images as shown
from semivit_tf.stages.evaluate import FILE as EVALUATION
from semivit_tf.stages.foreign import describe, finder, read_found
from semivit_tf.stages.gains import finished_stages
from semivit_tf.stages.predictions import beside, read_predictions
from semivit_tf.stages.result_file import (
    DamagedResultError,
    read_result,
    write_result,
)
from semivit_tf.stages.stage import Kind
from semivit_tf.stages.starting_weights import Kept, kept_by, starting_weights
from semivit_tf.whole_file import open_whole

_FILES = (
    *("config.json", "check.json", "foreign.json", "split.csv", EVALUATION),
    "probe.json",
)
_OF_STAGES = ("*/DONE", "*/metrics.jsonl", "*/pictures/*.png")


class Report(Kind):
    """Writes `<stage>.html`, unless all that it is made from is as it was."""

    def carry_out(self, run, stage):
        run.say(f"{stage.name}: {report(run, stage)}")


def report(run, stage):
    """Writes the page, if it is not there or is no longer true; returns its path."""
    page = run.folder.path / f"{stage.name}.html"
    file = run.folder.path / f"{stage.name}.json"
    made_from = digest_of_files(run)
    try:
        before = read_result(file) or {}
    except DamagedResultError as error:
        run.say(f"{error}: the page is made again")
        before = {}
    if page.exists() and before:
        if before.get("page_sha256") != digest_of(page):
            run.say(f"{page} is not as it was written: made again")
        elif before.get("made_from_sha256") == made_from:
            return page
    text = render(content_of(run, stage))
    with open_whole(page) as written:
        written.write(text)
    made = {"made_from_sha256": made_from, "page_sha256": digest_of(page)}
    write_result(file, made)
    return page


def digest_of_files(run):
    """Returns a digest of all that a page is made from."""
    folder = run.folder.path
    files = [folder / name for name in _FILES]
    files += [beside(file) for file in files]
    files += [file for pattern in _OF_STAGES for file in sorted(folder.glob(pattern))]
    listed = [
        [str(file.relative_to(folder)), digest_of(file)]
        for file in files
        if file.is_file()
    ]
    listed.append([template_text(), run.config.run.report_images])
    return hashlib.sha256(json.dumps(listed).encode()).hexdigest()


def content_of(run, stage):
    """Returns what the template is filled with."""
    evaluation, predicted = evaluation_of(run)
    check = said.read_json(run, "check.json")
    content = {
        "name": said.name_of_data(run),
        "verdict": said.verdict(evaluation),
        "unknown": said.unknown(run, evaluation),
        "data": None,
        "stages": said.learned(run),
        "tested": said.tested(evaluation),
        "calibration": None,
        "mistakes": [],
        "attention": [],
        "run": said.about_run(run),
    }
    with said.left_out_if_damaged(run, run.folder.path / "check.json"):
        content["data"] = said.data(run, check)
    most = run.config.run.report_images
    about = {
        "sheet": shown.contact_sheet(run, most) if most else [],
        "classes": run.num_classes,
        "unlike": foreign_images_of(run),
    }
    if about["sheet"] or about["unlike"] or content["data"]:
        content["data"] = {"checked": None, **(content["data"] or {}), **about}
    if content["tested"]:
        content["calibration"] = said.calibration(evaluation)
        content |= pictures_of_answers(run, stage, evaluation, predicted)
    return content


def foreign_images_of(run):
    """Returns a sentence on foreign images, or None where nobody looked for them."""
    stage = finder(run)
    if stage is None:
        return None
    try:
        found = read_found(run, stage)
    except DamagedResultError as error:
        run.say(f"{error} and is left out of the report")
        return None
    return found and describe(found)


def evaluation_of(run):
    """Returns the evaluation and its `Predictions`, None where there is none."""
    file = run.folder.path / EVALUATION
    try:
        evaluation = read_result(file)
    except DamagedResultError as error:
        run.say(f"{error} and is left out of the report")
        return None, None
    if evaluation is None:
        return None, None
    predicted = read_predictions(file, evaluation)
    if predicted is None and evaluation["results"]:
        run.say(f"{beside(file)} is not as it was written: no mistakes are shown")
    return evaluation, predicted


def pictures_of_answers(run, stage, evaluation, predicted):
    """Returns the mistakes of the exported network, and what it looks at."""
    if predicted is None:
        return {}
    row, part = said.main_row(evaluation), evaluation["part"]
    mistakes = shown.worst_mistakes(run, predicted, said.name_of(row), part)
    kept = _kept(run, stage, row) if run.config.run.report_images else None
    if kept is None:
        return {"mistakes": mistakes}
    network = run.classifier()
    kept.load(run.quiet(), network)
    return {
        "mistakes": shown.with_images(run, mistakes, part, network),
        "attention": shown.attention(run, part, network),
    }


def _kept(run, stage, row):
    """Returns the `Kept` weights of a row of the evaluation, None if they changed."""
    source = starting_weights(run, stage)
    found = [kept_by(run, source)] if source.file else []
    for trained in finished_stages(run, stage):
        found += [
            Kept(trained, network, checkpoint)
            for network in run.networks(trained)
            for checkpoint in ("last", "best")
        ]
    wanted = said.name_of(row)
    for kept in found:
        if " ".join(kept.names) == wanted and kept.path(run).exists():
            return kept if kept.digest(run) == row["weights_sha256"] else None
    return None
