"""How much memory a stage takes, and into how many micro-batches that cuts its batch.

The estimate is arithmetic: weights, what the networks keep of each image for the
gradient, and batches of images on their way. It is held to measurements by
`experiments/benchmarks/memory.py`.
"""

import dataclasses
import math
import pathlib

import tensorflow as tf

from semivit_tf.backbones.kept_values import kept_values, transformer_values
from semivit_tf.config.settings import InputError

_LIBRARIES = 0.65e9  # TensorFlow, Keras and NumPy, before anything is built
_TRACING = 0.35e9  # the graphs of a step
_COMPILING = 0.45e9  # what XLA takes while it compiles a step
_WRITTEN = 5  # copies of the weights, with their moments, while a checkpoint is made
_COMPILED = 5  # copies of them as a compiled step's arguments and results
_SCORED = 0.05  # of what learning an image keeps, where a teacher only labels it
_JOINT_TOKENS = 3  # of a U-ViT: two tokens side by side, and the one made of them
_NOISED = 6  # noise, images with noise, what is predicted and what should be
_BATCHES_AHEAD = 3  # prepared while a step runs
_MOST_OF_WHAT_IS_FREE = 0.9


@dataclasses.dataclass(frozen=True)
class Need:
    """What a stage takes besides the libraries, of all replicas of a process.

    Attributes:
        trained: Integer. Weights that the optimizer moves.
        copied: Integer. Weights of a teacher.
        kept: Float. Values that a batch keeps for the gradient.
        pixels: Float. Values of a batch of images, all views.
        replicas: Integer. Each has weights of its own.
        compiled: Bool. Whether XLA compiles the step.
        scored: Float. Values that a teacher takes for a batch, which it labels whole.
    """

    trained: int
    copied: int
    kept: float
    pixels: float
    replicas: int = 1
    compiled: bool = False
    scored: float = 0.0

    def bytes(self, parts, precision="float32"):
        """Returns the peak memory of a step in micro-batches, in bytes."""
        # Weights, gradients, their sum over micro-batches, and two moments.
        states = 4 + (parts > 1) + self.compiled * _COMPILED
        size = 2 if precision.startswith("mixed") else 4
        weights = 4 * self.replicas * (states * self.trained + self.copied)
        weights += 4 * _WRITTEN * self.trained
        images = 4 * self.pixels * _BATCHES_AHEAD
        making = _LIBRARIES + _TRACING + self.compiled * _COMPILING
        values = self.kept / parts + self.scored
        return making + weights + images + size * values


def labeled_need(run, network, images, views, averaged, gated=False, scored=0):
    """Returns the `Need` of learning labels, true ones or pseudo labels.

    Args:
        run: `Run`.
        network: `Classifier`.
        images: Integer. Images of a step that are learned.
        views: Float. Views of each of them in a batch.
        averaged: Bool. Whether there is a teacher.
        gated: Bool or `"auto"`. Whether images may be left out.
        scored: Integer. Images of a step that a teacher labels.
    """
    kept = kept_values(network.backbone)
    if kept is None:
        return None
    weights = network.count_params()
    return Need(
        trained=weights,
        copied=averaged * weights,
        kept=images * kept,
        pixels=images * views * math.prod(run.data.image_shape),
        replicas=run.strategy.num_replicas_in_sync,
        compiled=run.compiles_by_xla(gated),
        scored=_SCORED * scored * kept,
    )


def denoiser_need(run, denoiser, images):
    """Returns the `Need` of learning to predict noise with a U-ViT.

    Args:
        run: `Run`.
        denoiser: `Denoiser`.
        images: Integer. Images of a step.
    """
    network, pixels = denoiser.student, math.prod(denoiser.image_shape)
    tokens = network.extra_tokens + math.prod(network.grid)
    sizes = tokens, network.width, network.heads
    kept = transformer_values(*sizes, network.depth + 1) + _NOISED * pixels
    kept += network.depth // 2 * _JOINT_TOKENS * tokens * network.width
    weights = network.count_params()
    return Need(
        trained=weights,
        copied=weights,
        kept=images * kept,
        pixels=images * pixels,
        replicas=run.strategy.num_replicas_in_sync,
        compiled=run.compiles_by_xla(),
    )


def free_memory(limit=None):
    """Returns the bytes that this process may take, or None where nothing says them.

    Args:
        limit: Optional integer. What a person allows.
    """
    found = [limit, _available(), _of_control_group()]
    return min((bytes for bytes in found if bytes is not None), default=None)


def _available():
    file = pathlib.Path("/proc/meminfo")
    if not file.exists():
        return None
    lines = dict(line.split(":", 1) for line in file.read_text().splitlines())
    own = _resident()
    return int(lines["MemAvailable"].split()[0]) * 1024 + own


def _resident():
    pages = int(pathlib.Path("/proc/self/statm").read_text().split()[1])
    return pages * 4096


def _of_control_group():
    """Returns the limit of this process's control group, of either version."""
    for name in ("memory.max", "memory/memory.limit_in_bytes"):
        file = pathlib.Path("/sys/fs/cgroup") / name
        if file.exists():
            text = file.read_text().strip()
            if text.isdecimal() and int(text) < 2**60:
                return int(text)
    return None


def fitting_parts(need, free, sizes, precision):
    """Returns the fewest micro-batches that fit.

    Args:
        need: `Need`.
        free: Integer. Bytes.
        sizes: Sequence of integers: images of a replica's batch, of each sort. The
            micro-batches cut all of them into equal parts.
        precision: Name of the number format.

    Returns:
        Integer, or None if the smallest micro-batches do not fit.
    """
    for parts in range(1, min(sizes) + 1):
        if all(size % parts == 0 for size in sizes):
            if need.bytes(parts, precision) <= _MOST_OF_WHAT_IS_FREE * free:
                return parts
    return None


def micro_batches(run, stage):
    """Returns into how many micro-batches a stage cuts a replica's batch.

    Where nobody said it, they are as few as fit into memory. On accelerators, whose
    memory is not known before they are used, it is one.

    Args:
        run: `Run`, which knows what the stage needs.
        stage: `Stage`.
    """
    settings = run.settings(stage)
    if settings.flag("batch_parts") in run.fixed.get(stage.name, {}):
        return settings.batch_parts  # as before, so that the same bits come out
    need = run.needs[stage.name]
    if need is None or tf.config.list_physical_devices("GPU"):
        return settings.batch_parts
    free = free_memory(run.config.run.memory_limit_bytes())
    if free is None:
        return settings.batch_parts
    replicas = run.strategy.num_replicas_in_sync
    batches = stage.kind.batches(settings, run.data)
    sizes = [settings.batch_size * batch.times // replicas for batch in batches]
    precision = run.config.run.precision
    said = "batch_parts" in settings.said
    parts = settings.batch_parts
    if not said:
        parts = fitting_parts(need, free, sizes, precision)
    smallest = parts or min(sizes)
    needed = need.bytes(smallest, precision)
    if parts is None or (said and needed > free):
        ways = [f"--{settings.flag('batch_size')}", "--image_size", "a smaller network"]
        if said:
            ways.insert(0, f"no --{settings.flag('batch_parts')}")
        raise InputError(
            f"{stage.name} needs about {needed / 1e9:.1f} GB in micro-batches of "
            f"{sizes[0] // smallest} {batches[0].images}, and {free / 1e9:.1f} GB are "
            f"free. Less memory: {', '.join(ways)}, --rematerialize"
        )
    return parts
