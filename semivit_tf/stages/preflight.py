"""What is refused before anything is written: flags, batches, order, networks."""

import dataclasses

import tensorflow as tf

from semivit_tf.config.backbone import BackboneConfig
from semivit_tf.config.settings import InputError
from semivit_tf.stages.batch_sizes import check_batches
from semivit_tf.stages.calibration import check_calibration
from semivit_tf.stages.derived_settings import derived_image_size, derived_network
from semivit_tf.stages.failures import input_errors
from semivit_tf.stages.run import Run
from semivit_tf.stages.run_data import find_images, split_and_batch
from semivit_tf.stages.run_folder import RunFolder
from semivit_tf.stages.starting_weights import Source, starting_weights
from semivit_tf.training.distribution import create_strategy

NETWORK = "network"  # what is derived for all stages, in `config.json`


def prepare(config, pipeline, wanted):
    """Checks all that can be checked, and returns the `Run`; nothing is written.

    Args:
        config: `Config`.
        pipeline: Sequence of `Stage`.
        wanted: Sequence of those that are asked for.
    """
    folder = RunFolder(config.run.workdir)
    with input_errors():
        folder.check(config)
        for stage in pipeline:
            folder.stage(stage.name).check()
    check_flags(config)
    with input_errors():
        strategy = create_strategy(
            config.run.strategy, config.run.logical_cpus, config.run.tpu
        )
        parts = find_images(config, folder, pipeline)
        config = with_image_size(config, folder, parts)
        data = split_and_batch(config, parts)
    network = derived_network(config.backbone or BackboneConfig(), data.image_size)
    config = dataclasses.replace(config, backbone=network)
    run = Run(
        config,
        folder,
        data,
        strategy,
        tuple(pipeline),
        tuple(wanted),
        fixed=folder.derived(),
    )
    return check_run(run)


def with_image_size(config, folder, parts):
    """Returns the settings with the size of images that an earlier run had, or fits."""
    kept = folder.derived().get(NETWORK)
    on_processors = not tf.config.list_physical_devices("GPU")
    size = derived_image_size(config, parts, on_processors)
    if kept is not None and "image_size" not in config.data.said:
        size = kept.get("image_size")
    data = config.data.with_values(image_size=size)
    return dataclasses.replace(config, data=data)


def check_flags(config):
    """Refuses flags that exclude each other."""
    if config.run.xla == "on" and config.run.deterministic:
        raise InputError("--xla=on excludes --deterministic: Keras would leave XLA out")
    if config.run.xla == "on" and config.run.strategy in ("mirrored", "multi_worker"):
        raise InputError(
            f"--xla=on excludes --strategy={config.run.strategy}: Keras compiles a "
            "step for one device only"
        )


def check_run(run):
    """Refuses what does not fit together; returns the `Run` that goes on."""
    check_validation(run)
    check_calibration(run)
    check_folds(run)
    check_file(run)
    for stage in run.wanted:
        # A stage with data of its own is checked when they are there.
        if stage.kind.trains and stage.data is None:
            check_batches(run, stage)
    for stage in run.wanted:
        check_order(run, stage)
    for stage in run.wanted:
        run = stage.kind.check(run, stage)
    with input_errors():
        run.folder.check_split(run.data.split)
    return run


def check_validation(run):
    """Refuses to hand on the best weights where no images compare epochs."""
    if run.config.run.checkpoint == "best" and not len(run.data.split.validation):
        raise InputError(
            "--checkpoint=best needs validation images, such as "
            "--validation_per_class=1 gives: there are none"
        )


def check_folds(run):
    """Refuses folds of which no stage makes use."""
    folds = run.config.run.folds
    if folds and not any(stage.kind.uses_folds for stage in run.wanted):
        raise InputError(
            f"--folds={folds} is used by none of the stages asked for. Received: "
            f"--stages={run.config.run.stages}"
        )


def check_file(run):
    """Refuses a file of weights that no stage would start from."""
    file = run.config.backbone.init_from
    used = [stage for stage in run.pipeline if starting_weights(run, stage).file]
    trained = [stage for stage in run.wanted if stage.kind.trains]
    if file and trained and not any(run.has(stage) for stage in used):
        raise InputError(
            f"--init_from={file} is used by none of the stages asked for: "
            f"{trained[-1].name} starts from scratch"
        )


def check_order(run, stage):
    """Refuses a stage whose start is missing, or that would come too late."""
    needs_weights = stage.kind.needs_weights(run.settings(stage))
    if needs_weights and starting_weights(run, stage) == Source():
        raise InputError(
            f"--stages={stage.name} needs the stage {' or '.join(stage.starts_from)}, "
            "asked for or finished in this folder, or --init_from"
        )
    for earlier in run.pipeline:
        if earlier.name in stage.needs and not run.has(earlier):
            raise InputError(
                f"--stages={stage.name} needs the stage {earlier.name}, asked for or "
                "finished in this folder"
            )
    # No later stage starts while one that has begun is unfinished: it started from it.
    if stage.kind.trains and not run.stage_folder(stage).begun:
        check_not_late(run, stage)


def check_not_late(run, stage):
    """Refuses a stage that one which would start from it has not waited for."""
    for later in run.pipeline:
        folder = run.stage_folder(later)
        started = later.kind.trains and folder.begun
        if (
            started
            and stage.name in later.starts_from
            and not later.kind.from_scratch(run.settings(later))
        ):
            start = "other weights"
            if folder.done:
                start = folder.summary()["started_from"]
            raise InputError(
                f"--stages={stage.name} comes too late in this folder: {later.name} "
                f"has started from {start}. Leave {stage.name} out, or take another "
                "--workdir"
            )
