"""How many images a step takes: as many as asked for, or as there are up to a limit.

The limits are those of the published recipes, or what was given with
`--fit_batch_sizes`; with few labels there are fewer images.
"""

import dataclasses
import math

from semivit_tf.config.presets import batch_sizes
from semivit_tf.config.settings import InputError
from semivit_tf.stages.derived_settings import derived_settings
from semivit_tf.stages.failures import input_errors
from semivit_tf.training.distribution import check_batch_size


@dataclasses.dataclass(frozen=True)
class Batch:
    """The images of one sort in a step.

    Attributes:
        images: String, such as `"labelled images"`.
        available: Integer. How many there are.
        times: Integer. How many there are in a step for one of `batch_size`.
        times_flag: Name of the setting that says `times`.
        repeats: Bool. Whether a step may show an image more than once, where it takes
            more than there are.
    """

    images: str
    available: int
    times: int = 1
    times_flag: str | None = None
    repeats: bool = False


def fitting(most, available, replicas, parts):
    """Returns the largest batch up to a limit that replicas can share, and its parts.

    Fewer images need fewer micro-batches, none larger than those of the limit.

    Args:
        most: Integer, the limit.
        available: Integer. How many images there are.
        replicas: Integer. They take equal shares.
        parts: Integer. Micro-batches of a replica's share of `most`.
    """
    size = max(min(most, available), 1)
    part = max(most // (replicas * parts), 1)
    parts = min(parts, math.ceil(size / (replicas * part)))
    return max(size - size % (replicas * parts), 1), parts


def settled_settings(stage, config, data, replicas, work=1.0):
    """Returns the settings of a training stage with all that was not said.

    Args:
        stage: `Stage`.
        config: `Config`, which may leave the size out, or give it as a limit.
        data: `Dataset` that there are batches of.
        replicas: Integer.
        work: Float. The share of a derived number of updates that is done.
    """
    settings = getattr(config, stage.settings)
    parts = settings.batch_parts or 1
    size, batches = settings.batch_size, stage.kind.batches(settings, data)
    if size is None or config.run.fit_batch_sizes:
        available = min(batch.available // batch.times for batch in batches)
        most = size or batch_sizes(config.run.preset)[stage.settings]
        size, parts = fitting(most, available, replicas, parts)
    settings = settings.with_values(batch_size=size, batch_parts=parts)
    counted = batches[-1]  # an epoch is a pass over these
    images = (counted.available, size * counted.times)
    return derived_settings(stage.settings, config, settings, images, work)


def check_batches(run, stage):
    """Refuses batches that the images or the replicas cannot fill."""
    settings = run.settings(stage)
    replicas = run.strategy.num_replicas_in_sync
    for batch in stage.kind.batches(settings, run.data):
        flag, size = settings.flag("batch_size"), settings.batch_size * batch.times
        if batch.times_flag:
            flag += f" times --{settings.flag(batch.times_flag)}"
        if not batch.available:
            raise InputError(
                f"--stages={stage.name} needs {batch.images}: there are none"
            )
        if size > batch.available and not batch.repeats:
            raise InputError(
                f"--{flag} should be at most the {batch.available} {batch.images}. "
                f"Received: {size}"
            )
        with input_errors():
            check_batch_size(flag, size, replicas, settings.batch_parts)
