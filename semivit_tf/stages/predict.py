"""The kind of stage in which an exported model answers new images.

It needs neither the data nor the weights of the run, only what was exported, so that it
works without a run as well. Its answers are those that are served.
"""

import collections
import contextlib

import numpy as np

from semivit_tf.config.settings import InputError
from semivit_tf.data.image_list import list_files
from semivit_tf.data.readable_images import (
    describe_unreadable,
    readable_images,
    why_unreadable,
)
from semivit_tf.export.exported_model import ExportedModel
from semivit_tf.stages.answer_shards import AnswerShards
from semivit_tf.stages.answer_tables import columns_of, table_format
from semivit_tf.stages.failures import input_errors
from semivit_tf.stages.stage import Kind
from semivit_tf.training.progress import CountProgress

_NAMED = 5  # images that cannot be read
_DIGITS = 6  # of probabilities


class Predict(Kind):
    """Writes a table of answers, with a row for each image."""

    needs_data = False

    def from_scratch(self, settings):
        return True  # it takes what was exported, not the weights of a stage

    def check(self, run, stage):
        settings = run.settings(stage)
        table_format(settings.file(run.config.run.workdir))
        exporting = exporter(run, stage) in run.wanted
        if settings.model or not exporting:
            exported_model(run, stage)
        return run

    def carry_out(self, run, stage):
        settings, model = run.settings(stage), exported_model(run, stage)
        top_k = min(settings.top_k, len(model.class_names))
        asked = {
            "images": str(settings.images),
            "model": model.digest(),
            "top_k": top_k,
        }
        shards = AnswerShards(settings.file(run.config.run.workdir), asked)
        found = shards.summary()
        if found is None:
            found = predict(run, stage, model, shards, top_k)
        run.say(f"{stage.name}: {describe(found, shards.file)}")


def exporter(run, stage):
    """Returns the stage of the run that exports the model."""
    return next(one for one in run.pipeline if one.name in stage.starts_from)


def exported_model(run, stage):
    """Returns the `ExportedModel` that answers."""
    folder = run.settings(stage).model
    if folder is not None:
        with input_errors():
            return ExportedModel(folder)
    before = exporter(run, stage)
    folder = run.stage_folder(before).path
    if not folder.is_dir():
        raise InputError(
            f"--stages={stage.name} needs the stage {before.name}, asked for or "
            f"finished in --workdir={run.folder.path}, or --model"
        )
    with input_errors():
        return ExportedModel(folder)


def predict(run, stage, model, shards, top_k):
    """Answers the images that are not answered yet; writes and returns the result."""
    settings = run.settings(stage)
    with contextlib.ExitStack() as stack:
        with input_errors():
            opened = shards.opened(lambda: list_files(settings.images))
            stack.enter_context(opened)
            columns = columns_of(top_k, model.outputs())
        missing = shards.missing()
        left = sum(shards.size(number) for number in missing)
        if left < shards.count:
            before = shards.count - left
            run.say(f"{stage.name}: {before} of {shards.count} images answered before")
        if missing:
            with CountProgress(stage.name) as progress:
                answer_missing(model, shards, missing, settings, top_k, progress)

        def open_table(path):
            return table_format(shards.file)(path, columns)

        return shards.join(open_table, Tally())


def answer_missing(model, shards, missing, settings, top_k, progress):
    """Writes the shards that are missing, in order.

    Images come in order. So all images of a shard have been answered, but for those
    that cannot be read, when an image of a later shard comes, or none any more.
    """
    chunks, rows, done = shards.images(missing), {}, 0
    waiting = list(missing)
    total = sum(shards.size(number) for number in missing)

    def finish_shard():
        nonlocal done
        number, chunk = waiting.pop(0), next(chunks)
        shards.write(number, [row_of(shards, model, rows, *image) for image in chunk])
        done += len(chunk)

    def files():
        for chunk in shards.images(missing):
            yield [(number, shards.path(name)) for number, name in chunk]

    stream = readable_images(
        files, model.load_file, model.image_shape, settings.predict_batch_size
    )
    for numbers, images in stream:
        numbers = np.asarray(numbers).tolist()
        answers = model.answer(images)
        rows.update(zip(numbers, answered(answers, model, top_k), strict=True))
        while numbers[-1] >= shards.end(waiting[0]):
            finish_shard()
        progress(done + len(rows), total)
    while waiting:
        finish_shard()
    progress(done, total)


def row_of(shards, model, rows, number, name):
    """Returns the row of an image, and takes its answer out of `rows`."""
    row = {"path": name.decode("utf-8", "backslashreplace")}
    answer = rows.pop(number, None)
    if answer is None:
        return row | {"error": why_unreadable(shards.path(name), model.max_pixels)}
    return row | answer


def answered(answers, model, top_k):
    """Returns a list of rows, without the paths, of what a model answers to a batch."""
    probabilities = answers["probabilities"]
    order = np.argsort(-probabilities, axis=1, kind="stable")[:, :top_k]
    best = np.take_along_axis(probabilities, order, axis=1).astype("float64")
    best = best.round(_DIGITS).tolist()
    names, rows = model.class_names, []
    for number, (classes, values) in enumerate(zip(order.tolist(), best, strict=True)):
        row = {"answer": names[classes[0]], "probability": values[0]}
        for place in range(1, top_k):
            row[f"class_{place + 1}"] = names[classes[place]]
            row[f"probability_{place + 1}"] = values[place]
        if "abstain" in answers:
            row["abstain"] = bool(answers["abstain"][number])
        if "class_set" in answers:
            inside = np.flatnonzero(answers["class_set"][number])
            row["class_set"] = [names[place] for place in inside]
        rows.append(row)
    return rows


class Tally:
    """Counts what a person wants to know of many rows first."""

    def __init__(self):
        self._images = self._unreadable = self._abstained = 0
        self._named = []
        self._answers = collections.Counter()

    def add(self, row):
        """Counts a row."""
        self._images += 1
        if row.get("error"):
            self._unreadable += 1
            if len(self._named) < _NAMED:
                self._named.append({"path": row["path"], "reason": row["error"]})
            return
        self._answers[row["answer"]] += 1
        self._abstained += bool(row.get("abstain"))

    def summary(self):
        """Returns the counts, JSON-ready."""
        return {
            "images": self._images,
            "unreadable": self._unreadable,
            "first_unreadable": self._named,
            "abstained": self._abstained,
            "answers": dict(sorted(self._answers.items())),
        }


def describe(found, file):
    """Returns what a person should read of a summary."""
    lines = [f"{found['images']} images in {file}"]
    if found["abstained"]:
        lines[0] += f", {found['abstained']} of them abstained from"
    if found["unreadable"]:
        lines.append(
            describe_unreadable(found["unreadable"], found["first_unreadable"])
        )
    return "\n".join(lines)
