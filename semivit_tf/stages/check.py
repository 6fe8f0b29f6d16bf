"""Are the images what they should be? All are read once, before days are spent."""

import dataclasses

import numpy as np

from semivit_tf.config.settings import InputError
from semivit_tf.data.check_report import check_report
from semivit_tf.data.check_report_text import describe
from semivit_tf.data.image_scan import ImageScan, scan
from semivit_tf.training.progress import CountProgress

STAGE = "check"
_NAMED = 5


def _sources(parts):
    named = {"train": parts.train, "test": parts.test}
    return {name: source for name, source in named.items() if source is not None}


def _earlier_scan(folder, name, source):
    path = folder.stage(STAGE).path / f"{name}.npz"
    if not path.exists():
        return None
    try:
        return ImageScan.load(path, source)
    except ValueError:
        return None  # of other images: they are scanned anew


def without_bad_images(parts, folder):
    """Returns the parts with those images marked that an earlier check could not read.

    Args:
        parts: `Parts`.
        folder: `RunFolder`.
    """
    scans = {
        name: _earlier_scan(folder, name, source)
        for name, source in _sources(parts).items()
    }
    return _marked(parts, {name: found for name, found in scans.items() if found})


def _marked(parts, scans):
    bad = {
        field: np.flatnonzero(~scans[name].readable)
        for name, field in (("train", "bad"), ("test", "bad_test"))
        if name in scans and not scans[name].readable.all()
    }
    return dataclasses.replace(parts, **bad) if bad else parts


def _scan(run, name, source):
    found = _earlier_scan(run.folder, name, source)
    if found is None:
        with CountProgress(f"{STAGE} {name} images") as progress:
            found = scan(source, progress)
        folder = run.folder.stage(STAGE).path
        folder.mkdir(parents=True, exist_ok=True)
        found.save(folder / f"{name}.npz")
    return found


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
    """Raises what stands against training on these images."""
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


def check(run, say):
    """Reads all images, unless that was done, and reports what was found.

    Returns:
        `Parts` with the images marked that cannot be used; those of the run itself if
        nothing changes.
    """
    folder, parts = run.folder.stage(STAGE), run.data.parts
    if folder.done:
        say(f"{STAGE}: done before")
        return parts
    sources = _sources(parts)
    scans = {name: _scan(run, name, source) for name, source in sources.items()}
    report = check_report(
        np.concatenate([source.labels for source in sources.values()]),
        parts.train.class_names,
        _parts_of_images(run.data, sources),
        [name for source in sources.values() for name in source.names()],
        list(scans.values()),
    )
    report["ignored"] = list(parts.ignored)
    run.folder.write_json("check.json", report)
    say(f"\n{describe(report)}\n")
    _refuse(report, run.config.data, run.folder.path / "check.json")
    folder.finish(
        images=report["images"],
        unreadable=len(report["unreadable"]),
        exact_in_training=len(report["exact_in_training"]),
        near_in_training=len(report["near_in_training"]),
    )
    known = len(parts.bad) + len(parts.bad_test)
    found = sum(int((~one.readable).sum()) for one in scans.values())
    return parts if found == known else _marked(parts, scans)
