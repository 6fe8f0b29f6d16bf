"""Which streams of batches do the stages learn from?

Every training stream is endless and starts at any step: give `steps_per_epoch` to
`fit`. Of every batch, a worker may take its `shard`, see `index_batches`.
"""

import tensorflow as tf

from semivit_tf.augment.central_view import central_view
from semivit_tf.augment.decoding import decode
from semivit_tf.data.order import index_batches

_BATCHES_AHEAD = 2
_LABELED_ORDER, _UNLABELED_ORDER, _PRETRAIN_ORDER = 11, 12, 13


def untuned(dataset):
    """Turns tf.data's tuner off: every parallel step gets a thread a processor.

    Whoever ends a tuned stream waits, up to a minute, until the tuner wakes up.
    """
    options = tf.data.Options()
    options.autotune.enabled = False
    return dataset.with_options(options)


def image_batches(views, indices, batch_size, start_step=0, shard=(0, 1)):
    """Makes batches of images `[B, H, W, C]`, for pre-training."""
    order = index_batches(
        indices, batch_size, (views.seed, _PRETRAIN_ORDER), start_step, shard
    )
    images = views.batches(order, ("pretrain",)).map(lambda image, label: image)
    return untuned(images)


def crop_batches(views, indices, batch_size, start_step=0, shard=(0, 1)):
    """Makes batches of crops of each image, for self-distillation.

    Args:
        views: `Views` by the policies `global1`, `global2`, and `local1` ... if wanted.
        indices: Integer array.
        batch_size: Integer B of images.
        start_step: Integer. How many batches were taken before.
        shard: See `index_batches`.

    Returns:
        Dataset of dicts: `global` `[B, 2, H, W, C]` and, if there are any, `local`
        `[B, V, h, w, C]`. The images come first, so replicas share them out.
    """
    order = index_batches(
        indices, batch_size, (views.seed, _PRETRAIN_ORDER), start_step, shard
    )

    def join(*crops):
        groups = {"global": crops[:2], "local": crops[2:-1]}  # labels come last
        return {name: tf.stack(part, 1) for name, part in groups.items() if part}

    crops = views.batches(order, tuple(views.policies))
    return untuned(crops.map(join).prefetch(_BATCHES_AHEAD))


def labeled_batches(views, indices, batch_size, start_step=0, shard=(0, 1)):
    """Makes batches `(image [B, H, W, C], label [B])`."""
    order = index_batches(
        indices, batch_size, (views.seed, _LABELED_ORDER), start_step, shard
    )
    return untuned(views.batches(order, ("labeled",)))


def semi_supervised_batches(
    views,
    labeled,
    unlabeled,
    batch_size,
    unlabeled_per_labeled=5,
    start_step=0,
    shard=(0, 1),
):
    """Makes batches `({image, weak, strong, unlabeled_label}, label)`.

    Args:
        views: `Views`.
        labeled: Integer array of labelled indices.
        unlabeled: Integer array of unlabelled indices.
        batch_size: Integer B of labelled images.
        unlabeled_per_labeled: Integer. U / B.
        start_step: Integer. How many batches were taken before.
        shard: See `index_batches`.
    """
    order = index_batches(
        unlabeled,
        batch_size * unlabeled_per_labeled,
        (views.seed, _UNLABELED_ORDER),
        start_step,
        shard,
    )

    def join(labeled, unlabeled):
        (image, label), (weak, strong, unlabeled_label) = labeled, unlabeled
        batch = {"image": image, "weak": weak, "strong": strong}
        return {**batch, "unlabeled_label": unlabeled_label}, label

    both = tf.data.Dataset.zip(
        labeled_batches(views, labeled, batch_size, start_step, shard),
        views.batches(order, ("weak", "strong")),
    )
    return untuned(both.map(join).prefetch(_BATCHES_AHEAD))


def evaluation_batches(source, indices, size, batch_size=256, share=1.0):
    """Makes one pass of `(image [B, H, W, C], label [B])`, in order, as it is served.

    Args:
        source: `ArraySource` or `EncodedSource`.
        indices: Integer array.
        size: Tuple `(H, W)`.
        batch_size: Integer.
        share: Float. See `central_view`.
    """

    def load(index):
        if hasattr(source, "contents"):
            image = decode(source.contents(index))
        else:
            image = tf.gather(source.images, index)
        return central_view(image, size, share), tf.gather(source.labels, index)

    images = tf.data.Dataset.from_tensor_slices(indices).map(
        load, num_parallel_calls=tf.data.AUTOTUNE
    )
    return untuned(images.batch(batch_size).prefetch(_BATCHES_AHEAD))
