"""How many images does a step take where nobody said it? All there are, up to a limit.

The limits are those of the published recipes, or what was said with
`--fit_batch_sizes`; with few labels there are fewer images.
"""

import dataclasses
import math

from semivit_tf.config.stages import BATCH_SIZES


def fitting(most, available, replicas, parts):
    """Returns the largest batch up to a limit that replicas can share, and its parts.

    Fewer images need fewer parts, none larger than those of the limit.

    Args:
        most: Integer, the limit.
        available: Integer. How many images there are.
        replicas: Integer. They take equal shares.
        parts: Integer. Equal parts of a replica's share of `most`.
    """
    size = max(min(most, available), 1)
    part = max(most // (replicas * parts), 1)
    parts = min(parts, math.ceil(size / (replicas * part)))
    return max(size - size % (replicas * parts), 1), parts


def with_batch_sizes(config, data, replicas):
    """Returns the `Config` with a batch size for each stage.

    Args:
        config: `Config`, which may leave them out, or give them as limits.
        data: `Dataset` that there are batches of.
        replicas: Integer.
    """
    labeled, unlabeled = len(data.split.labeled), len(data.unlabeled_indices)
    available = {
        "pretrain": len(data.image_indices),
        "finetune": labeled,
        "semi": min(labeled, unlabeled // config.semi.unlabeled_per_labeled),
    }
    settled = {}
    for name, images in available.items():
        settings = getattr(config, name)
        if settings.batch_size is None or config.run.fit_batch_sizes:
            most = settings.batch_size or BATCH_SIZES[name]
            size, parts = fitting(most, images, replicas, settings.batch_parts)
            settled[name] = dataclasses.replace(
                settings, batch_size=size, batch_parts=parts
            )
    return dataclasses.replace(config, **settled)
