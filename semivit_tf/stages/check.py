"""The kind of stage that reads all images once, before days are spent on them."""

import dataclasses

import numpy as np

from semivit_tf.config.settings import InputError
from semivit_tf.data.check_report import check_report
from semivit_tf.data.check_report_text import describe
from semivit_tf.data.image_scan import ImageScan, scan
from semivit_tf.stages.failures import input_errors
from semivit_tf.stages.run_data import split_and_batch
from semivit_tf.stages.run_folder import RunFolder
from semivit_tf.stages.stage import Kind
from semivit_tf.training.distribution import meet
from semivit_tf.training.progress import CountProgress

_NAMED = 5


class Check(Kind):
    """Reports unreadable images and duplicates; refuses them or leaves them out."""

    settles_data = True

    def without_bad_images(self, parts, folder, max_pixels):
        """Returns the parts with the images marked that an earlier check found bad.

        Args:
            parts: `Parts`.
            folder: `StageFolder`.
            max_pixels: Integer. An earlier check by another limit does not count.
        """
        scans = {
            name: _earlier_scan(folder, name, source, max_pixels)
            for name, source in _sources(parts).items()
        }
        return _marked(parts, {name: found for name, found in scans.items() if found})

    def carry_out(self, run, stage):
        with input_errors():
            if run.is_chief:
                parts = check(run, stage)
            meet(run.strategy)
            if not run.is_chief:
                folder = run.stage_folder(stage)
                limit = run.config.data.max_pixels
                parts = self.without_bad_images(run.data.parts, folder, limit)
            if parts is run.data.parts:
                return run
            data = split_and_batch(run.config, parts)
        return dataclasses.replace(run, data=data)


def _sources(parts):
    named = {"train": parts.train, "test": parts.test}
    return {name: source for name, source in named.items() if source is not None}


def _earlier_scan(folder, name, source, max_pixels):
    path = folder.path / f"{name}.npz"
    if not path.exists():
        return None
    try:
        found = ImageScan.load(path, source)
    except ValueError:
        return None  # a scan of other images: these are scanned again
    return found if found.max_pixels == max_pixels else None


def _marked(parts, scans):
    bad = {
        field: np.flatnonzero(~scans[name].readable)
        for name, field in (("train", "bad"), ("test", "bad_test"))
        if name in scans and not scans[name].readable.all()
    }
    return dataclasses.replace(parts, **bad) if bad else parts


def _scan(run, stage, name, source):
    folder, limit = run.stage_folder(stage), run.config.data.max_pixels
    found = _earlier_scan(folder, name, source, limit)
    if found is None:
        found = _scan_of_another_run(run, stage, name, source)
        if found is None:
            with CountProgress(f"{stage.name} {name} images") as progress:
                found = scan(source, progress, max_pixels=limit)
        folder.path.mkdir(parents=True, exist_ok=True)
        found.save(folder.path / f"{name}.npz")
    return found


def _scan_of_another_run(run, stage, name, source):
    """Returns what `--check_from` has found out about the same images, or None."""
    other = run.config.run.check_from
    if other is None:
        return None
    folder = RunFolder(other).stage(stage.name)
    return _earlier_scan(folder, name, source, run.config.data.max_pixels)


def _parts_of_images(data, sources):
    parts = np.full(len(sources["train"]), "excluded", object)
    for part in ("labeled", "unlabeled", "validation"):
        parts[getattr(data.split, part)] = part
    return np.concatenate(
        [parts, np.full(len(sources.get("test", ())), "test", object)]
    )


def _some(images, say_one):
    more = f" and {len(images) - _NAMED} more" if len(images) > _NAMED else ""
    return ", ".join(say_one(image) for image in images[:_NAMED]) + more


def _refuse(report, settings, file):
    """Refuses images that the settings do not allow to train or test on."""
    bad = report["unreadable"]
    if bad and not settings.skip_bad_images:
        named = _some(bad, lambda image: f"{image['name']} ({image['reason']})")
        raise InputError(
            f"{len(bad)} images cannot be read: {named}. All are in {file}; mend them, "
            "or leave them out by --skip_bad_images"
        )
    if settings.test_duplicates == "allow":
        return
    found = list(report["exact_in_training"])
    if settings.test_duplicates == "refuse":
        found += report["near_in_training"]
    leaks = [image for image in found if image["part"] == "test"]
    if leaks:
        named = _some(
            leaks, lambda image: f"{image['name']} = {image['training']['name']}"
        )
        raise InputError(
            f"{len(leaks)} test images also occur in training: {named}. All are in "
            f"{file}; take them out, or see --test_duplicates"
        )


def check(run, stage):
    """Reads all images, unless that was done, and reports what was found.

    Returns:
        `Parts` with the images marked that cannot be used; those of the run itself if
        nothing changes.
    """
    folder, parts, file = run.stage_folder(stage), run.data.parts, f"{stage.name}.json"
    limit = run.config.data.max_pixels
    sources = _sources(parts)
    if folder.done and folder.summary().get("max_pixels") == limit:
        earlier = [_earlier_scan(folder, *of, limit) for of in sources.items()]
        if all(scan is not None for scan in earlier):
            run.say(f"{stage.name}: done before")
            return parts
        run.say(
            f"{stage.name}: what was found before is damaged or of other images: "
            "checked again"
        )
    scans = {name: _scan(run, stage, name, source) for name, source in sources.items()}
    report = check_report(
        np.concatenate([source.labels for source in sources.values()]),
        parts.train.class_names,
        _parts_of_images(run.data, sources),
        [name for source in sources.values() for name in source.names()],
        list(scans.values()),
    )
    report["ignored"] = list(parts.ignored)
    run.folder.write_json(file, report)
    run.say(f"\n{describe(report)}\n")
    _refuse(report, run.config.data, run.folder.path / file)
    folder.finish(
        images=report["images"],
        unreadable=len(report["unreadable"]),
        max_pixels=limit,
        exact_in_training=len(report["exact_in_training"]),
        near_in_training=len(report["near_in_training"]),
    )
    known = len(parts.bad) + len(parts.bad_test)
    found = sum(int((~one.readable).sum()) for one in scans.values())
    return parts if found == known else _marked(parts, scans)
