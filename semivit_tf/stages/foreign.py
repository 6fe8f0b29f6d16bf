"""The kind of stage that finds unlabelled images unlike every class.

They are found by the features of the network that stage 3 starts from. The limit comes
from validation images, if there are enough: a network that has learned the labelled
images sees them closer together than others of their classes. What was found stays as
long as it is of the same weights, images and settings. With `--drop_foreign` stage 3
learns without them.
"""

import csv
import dataclasses
import hashlib

import numpy as np
import tensorflow as tf

from semivit_tf.checksum import digest_of
from semivit_tf.config.settings import InputError
from semivit_tf.evaluation.features import extract_features
from semivit_tf.evaluation.foreign_images import (
    fewest_known,
    foreign_limit,
    foreign_share,
    foreignness,
    whitening,
)
from semivit_tf.export.features import features_of
from semivit_tf.stages.pseudo_label import answering
from semivit_tf.stages.result_file import (
    DamagedResultError,
    read_result,
    write_result,
)
from semivit_tf.stages.run_data import dataset_of
from semivit_tf.stages.stage import Kind
from semivit_tf.stages.starting_weights import check_answer, refuse_unfinished
from semivit_tf.training.pictures import stacked, write_picture
from semivit_tf.whole_file import open_whole

_SHOWN = 40  # images in the contact sheet, at most
_COLUMNS = 8


class Foreign(Kind):
    """Writes `<stage>.json`, `<stage>.csv` and a contact sheet of the images found."""

    def needs_weights(self, settings):
        return True

    def check(self, run, stage):
        refuse_unfinished(run, stage)
        check_images(run, stage)
        check_answer(run, stage)
        return run

    def carry_out(self, run, stage):
        run.say(f"{stage.name}: {describe(foreign_images(run, stage))}")


def check_images(run, stage):
    """Refuses labelled images that are too few for a limit, or no unlabelled ones."""
    settings, split = run.settings(stage), run.data.split
    share = settings.foreign_false_alarms
    labeled = max(len(split.labeled), len(split.validation))
    if not len(split.unlabeled):
        raise InputError(
            f"--stages={stage.name} looks among unlabelled images: there are none"
        )
    if labeled < fewest_known(share):
        raise InputError(
            f"--foreign_false_alarms={share} needs at least {fewest_known(share)} "
            f"labelled or validation images to find its limit. Received: {labeled}"
        )


def file_of(run, stage, ending=".json"):
    """Returns the path of the result, or of the table of the images found."""
    return run.folder.path / f"{stage.name}{ending}"


def foreign_images(run, stage):
    """Returns what is known of foreign images; looks for them unless that is done."""
    kept = answering(run, stage)
    before = None
    try:
        before = read_found(run, stage)
    except DamagedResultError as error:
        run.say(f"{error}: looked for again")
    about = about_search(run, stage, kept)
    if before and all(before[name] == value for name, value in about.items()):
        return before
    content = {**about, **search(run, stage, kept)}
    write_result(file_of(run, stage), content)
    run.stage_folder(stage).finish(found=content["found"])
    return content


def about_search(run, stage, kept):
    """Returns what decides which images are found."""
    split = run.data.split
    images = hashlib.sha256()
    for part in (split.labeled, split.unlabeled, split.validation):
        images.update(np.int64(part).tobytes() + b"\0")
    return {
        "weights": kept.names,
        "weights_sha256": kept.digest(run),
        "images_sha256": images.hexdigest(),
        "false_alarms": run.settings(stage).foreign_false_alarms,
    }


def search(run, stage, kept):
    """Finds foreign images, lists and draws them; returns what a result says of it."""
    split, share = run.data.split, run.settings(stage).foreign_false_alarms
    network = run.classifier()
    kept.load(run.quiet(), network)
    encode = tf.function(
        lambda images: features_of(network, images), reduce_retracing=True
    )

    def features(part):
        return extract_features(encode, run.data.as_evaluated(part))[0]

    known, unlabeled = features(split.labeled), features(split.unlabeled)
    whiten = whitening(np.concatenate([known, unlabeled]))
    known = whiten(known)
    limit_by, native = "labelled", None
    if len(split.validation) >= fewest_known(share):
        limit_by, native = "validation", whiten(features(split.validation))
    limit = foreign_limit(foreignness(native, known), share)
    distances = foreignness(whiten(unlabeled), known)
    order = np.argsort(-distances, kind="stable")
    order = order[distances[order] > limit]
    write_table(run, stage, split.unlabeled[order], distances[order])
    draw(run, stage, split.unlabeled[order[:_SHOWN]])
    return {
        "labeled": len(known),
        "images": len(distances),
        "limit": limit,
        "limit_by": limit_by,
        "found": len(order),
        "share": foreign_share(len(order), len(distances), share),
        "table_sha256": digest_of(file_of(run, stage, ".csv")),
    }


def write_table(run, stage, indices, distances):
    """Lists the images found, the most foreign first."""
    names = run.data.parts.train.names()
    with open_whole(file_of(run, stage, ".csv")) as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(("index", "path", "distance"))
        for index, distance in zip(indices.tolist(), distances.tolist(), strict=True):
            writer.writerow((index, names[index], f"{distance:.4f}"))


def draw(run, stage, indices):
    """Draws the most foreign images in rows; none are drawn where none were found."""
    path = run.stage_folder(stage).path / "pictures" / "foreign.png"
    if not len(indices) or not run.config.run.report_images:
        path.unlink(missing_ok=True)
        return
    batches = run.data.as_evaluated(indices)
    images = np.concatenate([np.asarray(images) for images, _ in batches])
    images = np.rint(images).clip(0, 255).astype("uint8")
    columns = min(_COLUMNS, len(images))
    rows = -(-len(images) // columns)
    blank = np.full((rows * columns - len(images), *images.shape[1:]), 255, "uint8")
    images = np.concatenate([images, blank])
    side_by_side = [np.concatenate(row, axis=1) for row in np.split(images, rows)]
    write_picture(path, stacked(np.stack(side_by_side), images.shape[2]))


def read_found(run, stage):
    """Returns the result of an earlier search, None if there is none."""
    found, table = read_result(file_of(run, stage)), file_of(run, stage, ".csv")
    if found is None:
        return None
    if not table.is_file() or digest_of(table) != found["table_sha256"]:
        raise DamagedResultError(f"{table} is not as it was written")
    return found


def describe(found):
    """Returns what a person should read of it."""
    images, known = found["images"], found["labeled"]
    chance = f"{100 * found['false_alarms']:g} %"
    if found["limit_by"] == "labelled":
        chance += " or more, without validation images,"
    return (
        f"{found['found']} of {images} unlabelled images "
        f"({100 * found['found'] / images:.1f} %) are unlike the {known} labelled "
        f"ones, where {chance} are expected by chance: about "
        f"{100 * found['share']:.1f} % are foreign"
    )


# === Learning without them ===


def check_dropped(run, user):
    """Refuses a stage that should learn without images that nobody looks for."""
    stage = finder(run)
    if not drops(run) or stage in run.wanted:
        return
    if read_found(run, stage) is None:
        raise InputError(
            f"--drop_foreign needs the stage {stage.name} before {user.name}, asked "
            "for or finished in this folder"
        )


def finder(run):
    """Returns the stage of a pipeline that finds foreign images, None without one."""
    found = [stage for stage in run.pipeline if isinstance(stage.kind, Foreign)]
    return found[0] if found else None


def drops(run):
    """Returns whether foreign images are left out."""
    return finder(run) is not None and run.settings(finder(run)).drop_foreign


def without_foreign(run, user):
    """Returns the run that a stage learns on, without foreign images if so told."""
    if not drops(run):
        return run
    stage, split = finder(run), run.data.split
    found = read_found(run, stage)
    weights = answering(run, stage).digest(run)
    if found is None or found["weights_sha256"] != weights:
        raise InputError(
            f"{file_of(run, stage)} should be of the weights that {user.name} starts "
            f"from: ask for the stage {stage.name}, too"
        )
    with open(file_of(run, stage, ".csv"), encoding="utf-8", newline="") as file:
        foreign = [int(row["index"]) for row in csv.DictReader(file)]
    left = np.setdiff1d(split.unlabeled, foreign)
    split = dataclasses.replace(split, unlabeled=left)
    data = dataset_of(run.config, run.data.parts, split)
    return dataclasses.replace(run, data=data)
