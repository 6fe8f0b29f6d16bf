"""How many images does a step take where nobody said it? All there are, up to a limit.

The limits are those of the published recipes; with few labels there are fewer images.
"""

import dataclasses

from semivit_tf.config.stages import BATCH_SIZES


def fitting(most, available, multiple):
    """Returns the largest batch up to a limit that a number of replicas can share."""
    size = min(most, available)
    return max(size - size % multiple, 1)


def with_batch_sizes(config, data, replicas):
    """Returns the `Config` with a batch size for each stage.

    Args:
        config: `Config`, which may leave them out.
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
        if settings.batch_size is None:
            multiple = replicas * settings.batch_parts
            size = fitting(BATCH_SIZES[name], images, multiple)
            settled[name] = dataclasses.replace(settings, batch_size=size)
    return dataclasses.replace(config, **settled)
