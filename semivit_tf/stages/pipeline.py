"""Runs the wanted stages in order, in one folder; what is finished is skipped."""

import contextlib
import dataclasses

import keras
import tensorflow as tf

from semivit_tf.config.settings import InputError
from semivit_tf.data.dataset import Dataset, load_parts, split_parts
from semivit_tf.stages import (
    check,
    evaluate,
    finetune,
    plan,
    pretrain,
    probe,
    semi_finetune,
)
from semivit_tf.stages.batch_sizes import with_batch_sizes
from semivit_tf.stages.export import check_version, export, served_weights
from semivit_tf.stages.run import FROM_FILE, Run
from semivit_tf.stages.run_folder import RunFolder
from semivit_tf.training.distribution import (
    WORKER_ENDED,
    check_batch_size,
    create_strategy,
    meet,
)
from semivit_tf.training.non_finite import NonFiniteLossError
from semivit_tf.training.repeatable import compute_repeatably
from semivit_tf.training.stopping import stops_on_signals
from semivit_tf.training.weight_files import CheckpointError
from semivit_tf.weights import WeightsError

# Each says by `batches` and `network` what it needs, does `prepare` a `Training` and
# `keep` what came out.
TRAINING = {module.STAGE: module for module in (pretrain, finetune, semi_finetune)}
SETTINGS = {"pretrain": "pretrain", "finetune": "finetune", "semi_finetune": "semi"}


@contextlib.contextmanager
def input_errors():
    """Turns the errors of building things from settings into errors of the input."""
    try:
        yield
    except InputError:
        raise
    except (ValueError, OSError) as error:
        raise InputError(" ".join(str(error).split())) from error


def split_and_batch(config, parts):
    """Returns the `Dataset` of the parts that were found, split as the settings say."""
    settings = config.data
    split = split_parts(
        parts,
        labels_per_class=settings.labels_per_class,
        label_fraction=settings.label_fraction,
        validation_per_class=settings.validation_per_class,
        labeled_index=settings.labeled_index,
        unlabeled_index=settings.unlabeled_index,
        seed=config.run.seed,
    )
    return Dataset(
        parts,
        split,
        seed=config.run.seed,
        image_size=settings.image_size,
        labeled_as_unlabeled=settings.labeled_as_unlabeled,
        central_share=settings.central_share,
        augmentation=settings.augmentation,
        strength=settings.augmentation_strength,
        rand_augment=settings.rand_augment,
        erasing=settings.erasing,
        strong_layer=settings.strong_layer,
    )


def prepare(config):
    """Checks all that can be checked, and returns the `Run`; nothing is written."""
    if not config.run.workdir:
        raise InputError("--workdir should name the folder of the run. Received: none")
    folder = RunFolder(config.run.workdir)
    with input_errors():
        folder.check(config)
    if config.run.xla == "on" and config.run.deterministic:
        raise InputError("--xla=on excludes --deterministic: Keras would leave XLA out")
    if config.run.xla == "on" and config.run.strategy in ("mirrored", "multi_worker"):
        raise InputError(
            f"--xla=on excludes --strategy={config.run.strategy}: Keras compiles a "
            "step for one device only"
        )
    settings = config.data
    with input_errors():
        strategy = create_strategy(
            config.run.strategy, config.run.logical_cpus, config.run.tpu
        )
        parts = load_parts(
            settings.dataset, settings.data_dir, settings.names_of_classes()
        )
        parts = check.without_bad_images(parts, folder)
        data = split_and_batch(config, parts)
    settled = with_batch_sizes(config, data, strategy.num_replicas_in_sync)
    run = Run(settled, folder, data, strategy, asked=config)
    check_run(run)
    return run


def check_run(run):
    """Refuses what does not fit together."""
    check_batches(run)
    check_order(run)
    check_networks(run)
    with input_errors():
        run.folder.check_split(run.data.split)


def check_batches(run):
    """Refuses batches larger than the data or not divisible over the replicas."""
    for name in run.config.run.stage_names():
        if name not in TRAINING:
            continue
        parts = getattr(run.config, SETTINGS[name]).batch_parts
        for flag, size, available, images in TRAINING[name].batches(run):
            if not available:
                raise InputError(f"--stages={name} needs {images}: there are none")
            if size > available:
                raise InputError(
                    f"--{flag} should be at most the {available} {images}. "
                    f"Received: {size}"
                )
            with input_errors():
                replicas = run.strategy.num_replicas_in_sync
                check_batch_size(flag, size, replicas, parts)


def check_networks(run):
    """Refuses sizes that do not fit together, by building each network once."""
    # What stands in --init_from comes out now, and not after the check.
    quiet = dataclasses.replace(run, say=lambda text: None)
    with input_errors():
        for name in run.config.run.stage_names():
            if name in TRAINING:
                model = TRAINING[name].network(run)
                if run.starts_from_file(name) and not run.folder.stage(name).done:
                    TRAINING[name].start(quiet, model)
            elif name == probe.STAGE:
                if pretrain.STAGE not in run.config.run.stage_names():
                    probe.encoder(quiet)
            elif name != check.STAGE:
                network = run.classifier()
                if run.answers_from_file:
                    quiet.load_kept(network, FROM_FILE, None)


def check_order(run):
    """Refuses stages whose beginnings are missing or would no longer be theirs."""
    stages, folder = run.config.run.stage_names(), run.folder

    def there(name):
        return name in stages or folder.stage(name).done

    if "semi_finetune" in stages and not there("finetune"):
        if run.config.backbone.init_from is None:
            raise InputError(
                "--stages=semi_finetune starts from the stage finetune, which is "
                "neither asked for nor finished in this folder, or from --init_from"
            )
    for name in ("evaluate", "export"):
        trained = there("finetune") or there("semi_finetune")
        if name in stages and not (trained or run.answers_from_file):
            raise InputError(
                f"--stages={name} needs the stage finetune, or --init_from"
            )
    begun = folder.stage("pretrain").path.exists() and not there("pretrain")
    if begun and ("finetune" in stages or "probe" in stages):
        raise InputError(
            f"The stage pretrain has begun in {folder.path} and is not finished: "
            "--stages should have it too, or --workdir be another folder"
        )
    finetuned = folder.stage("finetune").path.exists()
    if "pretrain" in stages and finetuned and not folder.stage("pretrain").done:
        raise InputError(
            "--stages=pretrain comes too late in this folder: finetune has started "
            "from scratch"
        )
    if "export" in stages:
        check_version(run, *served_weights(run, there("semi_finetune")))


def run_pipeline(config, command, say=print):
    """Runs the stages; returns the `Run`.

    Args:
        config: `Config`.
        command: Sequence of strings, kept in the folder.
        say: Function that shows a person a text.
    """
    keras.config.set_dtype_policy(config.run.precision)
    if config.run.deterministic:
        compute_repeatably()
    with stops_on_signals() as listen:
        run = dataclasses.replace(prepare(config), say=say)
        listen()  # workers' strategy has taken SIGTERM for itself
        if not run.is_chief:
            run = dataclasses.replace(run, say=lambda text: None)
        with contextlib.ExitStack() as stack:
            stack.enter_context(one_line_errors(run.folder.path))
            if config.run.plan:
                run.say(plan_stages(run))
                return run
            if run.is_chief:
                stack.enter_context(run.folder.opened(config, command))
            return run_stages(run)


def plan_stages(run):
    """Takes a few steps of each training stage; returns what a person should know."""
    found = {}
    for name in run.config.run.stage_names():
        folder = run.folder.stage(name)
        if name in TRAINING and not folder.done:
            training = TRAINING[name].prepare(run, fresh=True)
            found[name] = plan.measure(training, folder.path)
    if not found:
        return "Nothing is left to train."
    # Besides the latest: the best, and the one that is being written.
    return plan.describe(found, run.config.run.keep_checkpoints + 2)


@contextlib.contextmanager
def one_line_errors(folder):
    """Turns what may go wrong on the way into errors that a person can act on."""
    try:
        yield
    except (CheckpointError, NonFiniteLossError, WeightsError) as error:
        raise InputError(str(error)) from error
    except WORKER_ENDED as error:
        raise InputError(
            "another worker of this run has ended: start all of them again, and the "
            "same commands continue"
        ) from error
    except OSError as error:
        raise InputError(
            f"{error.filename or folder}: {error.strerror or error}. What was kept is "
            "whole: the same command continues"
        ) from error
    except tf.errors.ResourceExhaustedError as error:
        reason = str(error).splitlines()[0]
        advice = "What was kept is whole: the same command continues"
        if "No space left" not in reason:
            advice = "Less memory: smaller batches, --..._batch_parts, --rematerialize"
        raise InputError(f"{folder}: {reason}. {advice}") from error


def run_stages(run):
    """Runs the stages in a folder that is open; returns the `Run`."""
    check_workers(run)
    run, say = check_images(run), run.say
    if run.is_chief:
        run.folder.keep_split(run.data.split)
    split, test = run.data.split, run.data.parts.test
    say(
        f"{run.config.data.dataset}: {len(split.labeled)} labelled, "
        f"{len(split.unlabeled)} unlabelled, {len(split.validation)} validation "
        f"and {len(test) if test else 0} test images; run in {run.folder.path}"
    )
    for name in run.config.run.stage_names():
        if name in TRAINING:
            check_workers(run)
        run_stage(run, name)
        meet(run.strategy)  # what the chief has written is there for all
    return run


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


def check_images(run):
    """Runs the stage check if it is asked for; returns the `Run` without bad images."""
    if check.STAGE not in run.config.run.stage_names():
        return run
    with input_errors():
        if run.is_chief:
            parts = check.check(run, run.say)
        meet(run.strategy)
        if not run.is_chief:
            parts = check.without_bad_images(run.data.parts, run.folder)
        if parts is run.data.parts:
            return run
        data = split_and_batch(run.config, parts)
    config = with_batch_sizes(run.asked, data, run.strategy.num_replicas_in_sync)
    run = dataclasses.replace(run, data=data, config=config)
    check_run(run)
    return run


def run_stage(run, name):
    """Runs one stage, unless it is finished, and says what came out."""
    say = run.say
    if name in TRAINING:
        train_stage(run, name)
    elif name == check.STAGE or not run.is_chief:
        return
    elif name == probe.STAGE:
        say("\n" + probe.describe(probe.probe(run)) + "\n")
    elif name == "evaluate":
        say("\n" + evaluate.describe(evaluate.evaluate(run)) + "\n")
    elif name == "export":
        say(f"export: {export(run)}")


def train_stage(run, name):
    """Trains one stage, unless it is finished."""
    if run.folder.stage(name).done:
        run.say(f"{name}: done before")
        return
    with input_errors():
        training = TRAINING[name].prepare(run)
    run.train(training, name)
    if run.is_chief:
        TRAINING[name].keep(run, training.model)
