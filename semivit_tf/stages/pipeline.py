"""Runs the stages that are asked for, in order, in one folder; skips finished ones."""

import contextlib
import dataclasses
import time

import keras
import tensorflow as tf

from semivit_tf.config.settings import InputError
from semivit_tf.evaluation.interval import FEW
from semivit_tf.stages import preflight
from semivit_tf.stages.costs import noted
from semivit_tf.stages.failures import one_line_errors
from semivit_tf.stages.folds import wanted_with_folds, with_folds
from semivit_tf.stages.plan import plan_stages
from semivit_tf.stages.run import Run
from semivit_tf.stages.run_folder import RunFolder
from semivit_tf.stages.stage import check_pipeline
from semivit_tf.stages.stage_table import PIPELINES
from semivit_tf.stages.timetable import Timetable
from semivit_tf.stop_signals import stops_on_signals
from semivit_tf.training.distribution import meet
from semivit_tf.training.repeatable import compute_repeatably

_SIZES = "patch_size", "width", "depth", "heads"


def run_pipeline(config, command, say=print, pipeline=None, started=None):
    """Runs the stages; returns the `Run`.

    Args:
        config: `Config`.
        command: Sequence of strings, kept in the folder.
        say: Function that shows a person a text.
        pipeline: Optional sequence of `Stage`, all of which are run. Defaults to those
            of `--pipeline` that `--stages` names.
        started: Optional float. What `time.monotonic()` was when the run began, from
            which `--time_limit` counts. Defaults to now.
    """
    started = time.monotonic() if started is None else started
    keras.config.set_dtype_policy(config.run.precision)
    if config.run.deterministic:
        compute_repeatably()
    with stops_on_signals() as listen:
        if pipeline is None and not needs_data(config):
            return run_without_data(config, say)
        run = dataclasses.replace(prepare(config, pipeline), say=say)
        listen()  # again: the strategy of several workers has taken SIGTERM for itself
        if not run.is_chief:
            run = run.quiet()
        with contextlib.ExitStack() as stack:
            stack.enter_context(one_line_errors(run.folder.path))
            if config.run.plan:
                run.say(plan_stages(run))
                return run
            if run.is_chief:
                stack.enter_context(run.folder.opened(config, command))
            return run_stages(run, started)


def needs_data(config):
    """Returns whether a stage that is asked for needs the images of the run."""
    return any(stage.kind.needs_data for stage in chosen_stages(config)[1])


def run_without_data(config, say):
    """Runs stages that need no images of the run; returns the `Run`, without data."""
    pipeline, wanted = chosen_stages(config)
    folder, strategy = RunFolder(config.run.workdir), tf.distribute.get_strategy()
    run = Run(config, folder, None, strategy, pipeline, wanted, say)
    if config.run.plan:
        raise InputError(f"--plan plans training; --stages={config.run.stages} is none")
    with one_line_errors(folder.path):
        for stage in wanted:
            run = stage.kind.check(run, stage)
        for stage in wanted:
            stage.kind.carry_out(run, stage)
    return run


def chosen_stages(config):
    """Returns all stages of the pipeline, and those that are asked for."""
    pipeline = with_folds(PIPELINES[config.run.pipeline], config.run.folds)
    return pipeline, wanted_with_folds(pipeline, config.run.stage_names())


def prepare(config, pipeline=None):
    """Returns the checked `Run` of a pipeline, see `run_pipeline`."""
    if pipeline is not None:
        check_pipeline(pipeline)
        return preflight.prepare(config, pipeline, pipeline)
    return preflight.prepare(config, *chosen_stages(config))


def run_stages(run, started):
    """Runs the stages in a folder that is open; returns the `Run`."""
    check_workers(run)
    run = settle_data(run)
    timetable = Timetable(run, started)
    if timetable.plans:
        run.say(timetable.describe())
    for stage in run.wanted:
        if stage.kind.settles_data:
            continue
        if stage.kind.trains:
            check_workers(run)
            run = settle_settings(timetable.begin(run, stage), stage)
        if stage.kind.trains or run.is_chief:
            with noted(run, stage):
                stage.kind.carry_out(run.at(stage), stage)
        if stage.kind.trains:
            timetable.ended(run, stage)
        meet(run.strategy)  # what the chief has written is there for all
    return run


def settle_data(run):
    """Runs the stages that may leave images out; then keeps the split, and says it."""
    for stage in run.wanted:
        if stage.kind.settles_data:
            with noted(run, stage):
                checked = stage.kind.carry_out(run, stage)
            if checked is not run:  # other images: what was settled is settled again
                anew = dataclasses.replace(checked, fixed=run.folder.derived())
                checked = preflight.check_run(anew)
            run = checked
    if run.is_chief:
        run.folder.keep_split(run.data.split)
    split, test = run.data.split, run.data.parts.test
    run.say(
        f"{run.config.data.dataset}: {len(split.labeled)} labelled, "
        f"{len(split.unlabeled)} unlabelled, {len(split.validation)} validation "
        f"and {len(test) if test else 0} test images; run in {run.folder.path}"
    )
    count = len(split.validation)
    if 0 < count < FEW:
        run.say(
            f"{count} validation images: one of them is {100 / count:.0f} points, so "
            "the best weights on them may be the best by chance"
        )
    settle_network(run)
    return run


def settle_network(run):
    """Keeps and says which network and size of images were derived."""
    groups = run.config.backbone, run.config.data
    found = {
        group.flag(name): getattr(group, name)
        for group in groups
        for name in ("backbone", *_SIZES, "image_size")
        if hasattr(group, name) and name not in group.said
    }
    found = {flag: value for flag, value in found.items() if value is not None}
    if run.is_chief:
        run.folder.keep_derived({preflight.NETWORK: found})
    if found:
        run.say(f"network, derived: {_as_flags(found)}")


def settle_settings(run, stage):
    """Keeps and says what was derived; returns the `Run` for which that is fixed.

    A stage that is finished, or has data of its own, derives nothing here.
    """
    if stage.data is not None or run.stage_folder(stage).done:
        return run
    found = stage.kind.learns_from(run, stage).derived(stage)
    if not found:
        return run
    if run.is_chief:
        run.folder.keep_derived({stage.name: found})
    run.say(f"{stage.name}, derived: {_as_flags(found)}")
    return run.fix(stage, **found)


def _as_flags(values):
    return " ".join(f"--{flag}={value}" for flag, value in values.items())


def check_workers(run):
    """Refuses workers that would not train the same network on the same images."""
    meet(run.strategy)  # the chief has opened the folder
    settings = str(run.config.flags(identity_only=True))
    labeled = run.data.split.labeled.tolist()
    try:
        found = run.folder.description()
    except OSError:
        found = ""
    if not meet(run.strategy, f"{settings} {labeled} {found}"):
        raise InputError(
            "the workers of this run differ: all need the same flags, the same data "
            f"and one folder that they share. Here --workdir={run.folder.path}"
        )
