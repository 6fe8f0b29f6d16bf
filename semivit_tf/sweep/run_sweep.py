"""Runs a sweep; refuses what cannot be swept before anything is run."""

import pathlib

import keras
import numpy as np
import tensorflow as tf

from semivit_tf.config.settings import InputError
from semivit_tf.data.image_scan import source_identity
from semivit_tf.data.loaders import load_parts
from semivit_tf.evaluation.coarse_classes import read_coarse_classes
from semivit_tf.stages.failures import input_errors, one_line_errors
from semivit_tf.stages.folder_lock import locked
from semivit_tf.stages.run_data import split_and_batch
from semivit_tf.sweep.own_process import run_apart
from semivit_tf.sweep.results import FILE, Results
from semivit_tf.sweep.sweep import Sweep
from semivit_tf.sweep.tasks import with_flags

# What a sweep sets itself is no part of what its results are of.
_SWEPT = ("labels_per_class", "label_fraction", "labeled_index", "seed")


def run_sweep(config, cnn, command, say=print, carry_out=run_apart):
    """Measures what is not measured yet; returns the content of `sweep.json`.

    Args:
        config: `Config` with `sweep.labels`.
        cnn: `Config` of the second network, or None.
        command: Sequence of strings, kept with the results.
        say: Function that shows a person a text.
        carry_out: Function that carries out the run of a `Config`.
    """
    keras.config.set_dtype_policy(config.run.precision)
    for device in tf.config.list_physical_devices("GPU"):
        # Runs in processes of their own need the memory.
        tf.config.experimental.set_memory_growth(device, True)
    folder = pathlib.Path(config.run.workdir)
    with one_line_errors(folder):
        sweep = open_sweep(config, cnn, command, say, carry_out)
        with locked(folder, f"--workdir={folder}"):
            sweep.measure()
            say(f"\n{sweep.show()}\n")
            say(f"{folder}: {FILE}, table.md, accuracy_over_labels.svg")
    return sweep.results.content


def open_sweep(config, cnn, command, say, carry_out):
    """Returns the checked `Sweep`; nothing is written."""
    folder, settings = pathlib.Path(config.run.workdir), config.sweep
    _check_folder(folder)
    _check_fair(config, cnn)
    with input_errors():
        data = config.data
        parts = load_parts(data.dataset, data.data_dir, data.names_of_classes())
        part = _reported_part(config, parts)
        coarse = None
        if settings.coarse:
            coarse = read_coarse_classes(settings.coarse, parts.train.class_names)
    about = {
        "part": part,
        "images": _digest(parts),
        "flags": _identity(config),
        "cnn_flags": _identity(cnn) if cnn else None,
        "coarse": coarse,
    }
    shown = {
        "command": " ".join(command),
        "labels": list(settings.label_numbers()),
        "seeds": list(settings.seed_numbers()),
        "ways": list(settings.way_names()),
    }
    configs = {"vit": config, **({"cnn": cnn} if cnn else {})}
    results = Results(folder, about, shown)
    return Sweep(configs, folder, parts, coarse, results, say, carry_out)


def _check_folder(folder):
    """Refuses a folder of something else."""
    if (folder / "config.json").exists():
        raise InputError(
            f"--workdir={folder} holds a run; a sweep needs its own folder"
        )
    if folder.exists() and not folder.is_dir():
        raise InputError(f"--workdir should be a folder. Received: {folder}")


def _check_fair(config, cnn):
    """Refuses to compare a network with weights with one that has none."""
    if cnn is None or config.sweep.cnn_from_scratch:
        return
    if _has_weights(config) and not _has_weights(cnn):
        raise InputError(
            "the first network starts from published weights, so --sweep_cnn should "
            "name some, or --sweep_cnn_from_scratch be given. Received: "
            f"--sweep_cnn={config.sweep.cnn!r}"
        )


def _has_weights(config):
    """Returns whether a network may start from weights that were made elsewhere."""
    name = config.backbone.backbone if config.backbone else ""
    preset = name.startswith(("keras_hub:", "keras:")) or name.count(":") > 1
    return preset or bool(config.backbone and config.backbone.init_from)


def _reported_part(config, parts):
    """Returns which images are reported on; refuses splits that cannot be made."""
    for seed in config.sweep.seed_numbers():
        for labels in config.sweep.label_numbers():
            data = split_and_batch(
                with_flags(config, labels_per_class=labels, seed=seed), parts
            )
    if parts.test is not None:
        return "test"
    if len(data.split.validation):
        return "validation"
    raise InputError(
        "a sweep needs images to report on: test images, or --validation_per_class"
    )


def _digest(parts):
    sources = [source for source in (parts.train, parts.test) if source is not None]
    digests = [source_identity(source) for source in sources]
    return np.concatenate(digests).tobytes().hex()


def _identity(config):
    flags = config.flags(identity_only=True)
    return {
        name: value
        for name, value in flags.items()
        if name not in _SWEPT and value is not None
    }
