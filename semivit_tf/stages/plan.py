"""How long a run will take and what it will need, measured before it starts."""

import contextlib
import pathlib
import resource
import time

import keras
import tensorflow as tf

from semivit_tf.evaluation.tables import text_table
from semivit_tf.methods.ema_teacher import EMATeacher
from semivit_tf.training.checkpoints import Checkpoints
from semivit_tf.training.distribution import distributed
from semivit_tf.training.progress import clock

TIMED_STEPS = 3


class Clock(keras.callbacks.Callback):
    """Records when each step ends; the first one includes compiling."""

    def on_train_begin(self, logs=None):
        self.times = [time.monotonic()]

    def on_train_batch_end(self, batch, logs=None):
        self.times.append(time.monotonic())


def plan_stages(run):
    """Takes a few steps of each training stage; returns what a person should know.

    All are measured on the images of the run: those that a stage would make are not
    there yet. What a stage starts from does not change its speed, and is not loaded.
    """
    found = {}
    for stage in run.wanted:
        folder = run.stage_folder(stage)
        if stage.kind.trains and not folder.done:
            found[stage.name] = measure(stage.kind.prepare(run, stage), folder)
    if not found:
        return "Nothing is left to train."
    # Besides the latest: the best, and the one that is being written.
    return describe(found, run.config.run.keep_checkpoints + 2)


def measure(training, folder):
    """Takes a few steps; returns what a stage needs.

    Args:
        training: `Training`.
        folder: `StageFolder`, which may have begun.

    Returns:
        Dict of `parameters`, `steps` that are left, `images_per_second`, `seconds` in
        all, of them `first_step`, the peak `memory` of the process and
        `device_memory` of a GPU, or None, and the `bytes` of a checkpoint.
    """
    model, watch = training.model, Clock()
    model.gated = False  # the slowest case: all unlabelled images count
    strategy = model.distribute_strategy
    forget_peak_memory()
    with strategy.scope():
        model.optimizer.build(model.trainable_variables)
    # The callback that moves a teacher is part of a step; those that watch are not.
    moving = [c for c in training.callbacks if isinstance(c, EMATeacher)]
    model.fit(
        distributed(strategy, training.stream, 0),
        steps_per_epoch=1 + TIMED_STEPS,
        callbacks=[*moving, watch],
        shuffle=False,
        verbose=0,
    )
    first = watch.times[1] - watch.times[0]
    step = (watch.times[-1] - watch.times[1]) / TIMED_STEPS
    done = Checkpoints(folder.checkpoints).position().step
    steps = training.epochs * training.steps_per_epoch - done
    state = {id(v): v for v in (*model.variables, *model.optimizer.variables)}
    trained = sum(v.shape.num_elements() for v in _values(model.trainable_variables))
    return {
        "parameters": int(trained),
        "steps": steps,
        "images_per_second": training.images_per_step / step,
        "first_step": first,
        "seconds": first + step * max(0, steps - 1),
        "memory": peak_memory(),
        "device_memory": peak_device_memory(),
        "bytes": sum(
            v.shape.num_elements() * v.dtype.size for v in _values(state.values())
        ),
    }


def _values(variables):
    return [variable.value for variable in variables]


def forget_peak_memory():
    """Resets the peak memory of GPUs and, on Linux, of this process."""
    for device in graphics_processors():
        tf.config.experimental.reset_memory_stats(device)
    with contextlib.suppress(OSError):
        pathlib.Path("/proc/self/clear_refs").write_text("5")


def graphics_processors():
    """Returns the names of the GPUs that this process uses."""
    count = len(tf.config.list_logical_devices("GPU"))
    return [f"GPU:{number}" for number in range(count)]


def peak_device_memory():
    """Returns the highest peak memory of a GPU in bytes, or None without one."""
    peaks = [
        tf.config.experimental.get_memory_info(device)["peak"]
        for device in graphics_processors()
    ]
    return max(peaks, default=None)


def peak_memory():
    """Returns the peak memory of this process in bytes."""
    status = pathlib.Path("/proc/self/status")
    if status.exists():
        lines = [line.split() for line in status.read_text().splitlines()]
        return next(int(line[1]) * 1024 for line in lines if line[0] == "VmHWM:")
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss


def describe(found, kept):
    """Returns the plan as a table and a sentence.

    Args:
        found: Dict of stage to what `measure` returned.
        kept: Integer. Checkpoints that there may be of each stage at once.
    """
    measured = any(plan["device_memory"] is not None for plan in found.values())
    rows = [
        (
            stage,
            f"{plan['parameters'] / 1e6:.2f} M",
            plan["steps"],
            f"{plan['images_per_second']:.1f}",
            clock(plan["seconds"]),
            f"{plan['memory'] / 1e9:.2f} GB",
            *([f"{plan['device_memory'] / 1e9:.2f} GB"] if measured else []),
            f"{plan['bytes'] * kept / 1e6:.1f} MB",
        )
        for stage, plan in found.items()
    ]
    devices = ("GPU memory",) if measured else ()
    columns = ("images/s", "time", "memory", *devices, "checkpoints")
    header = ("stage", "trained", "steps left", *columns)
    seconds = clock(sum(plan["seconds"] for plan in found.values()))
    disk = sum(plan["bytes"] for plan in found.values()) * kept / 1e6
    held = "without what is held by an accelerator"
    if measured:
        held = "and GPU memory the most that any one GPU held"
    return (
        f"{text_table(header, rows)}\n\n"
        f"Training takes about {seconds} and {disk:.1f} MB for checkpoints. Memory is "
        f"that of this process, {held}."
    )
