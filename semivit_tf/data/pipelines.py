"""The streams of batches that the stages learn from.

Every training stream is endless and starts at any step: give `steps_per_epoch` to
`fit`. Of every batch, a worker may take its `shard`, see `index_batches`.
"""

import tensorflow as tf

from semivit_tf.augment.central_view import central_view
from semivit_tf.augment.decoding import decode
from semivit_tf.augment.image_header import MAX_PIXELS
from semivit_tf.contracts import HasContents
from semivit_tf.data.array_source import take_images
from semivit_tf.data.as_it_is import as_it_is
from semivit_tf.data.order import index_batches
from semivit_tf.data.unfinished_reads import noting

_BATCHES_AHEAD = 2
_LABELED_ORDER, _UNLABELED_ORDER, _PRETRAIN_ORDER = 11, 12, 13
# What a caller may ask for, and the name of that view in `Views`.
_LABELED_VIEWS = {"labeled": "labeled", "weak": "labeled_weak"}
_UNLABELED_VIEWS = ("weak", "strong", "weak2", "strong2")


def untuned(dataset):
    """Turns tf.data's tuner off: every parallel step gets one thread per CPU.

    Ending a tuned stream waits for the tuner, up to a minute (TensorFlow 2.21).
    """
    options = tf.data.Options()
    options.autotune.enabled = False
    return dataset.with_options(options)


def image_batches(views, indices, batch_size, start_step=0, shard=(0, 1)):
    """Makes batches of images `[B, H, W, C]`, for pre-training."""
    order = index_batches(
        indices, batch_size, (views.seed, _PRETRAIN_ORDER), start_step, shard
    )
    batches = views.batches(order, ("pretrain",))
    return untuned(batches.map(as_it_is(lambda shown, label, index: shown["pretrain"])))


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
        `[B, V, h, w, C]`. Axis 0 is that of images, so that replicas can share them.
    """
    order = index_batches(
        indices, batch_size, (views.seed, _PRETRAIN_ORDER), start_step, shard
    )

    names = tuple(views.policies)

    @as_it_is
    def join(crops, label, index):
        groups = {"global": names[:2], "local": names[2:]}
        return {
            group: tf.stack([crops[name] for name in members], 1)
            for group, members in groups.items()
            if members
        }

    crops = views.batches(order, names)
    return untuned(crops.map(join).prefetch(_BATCHES_AHEAD))


def labeled_batches(
    views, indices, batch_size, start_step=0, shard=(0, 1), view="labeled"
):
    """Makes batches `(image [B, H, W, C], label [B])`.

    A batch larger than the number of labelled images repeats them, each time drawn
    anew: all equally often, up to one, since the first step.

    Args:
        views: `Views`.
        indices: Integer array of labelled indices.
        batch_size: Integer B.
        start_step: Integer. How many batches were taken before.
        shard: See `index_batches`.
        view: `"labeled"`, or `"weak"` for the policy of weak views.
    """
    if view not in _LABELED_VIEWS:
        raise ValueError(
            "The view of labelled images should be one of: "
            f"{', '.join(_LABELED_VIEWS)}. Received: {view!r}"
        )
    name = _LABELED_VIEWS[view]
    order = index_batches(
        indices, batch_size, (views.seed, _LABELED_ORDER), start_step, shard
    )
    batches = views.batches(order, (name,))
    pairs = batches.map(as_it_is(lambda shown, label, index: (shown[name], label)))
    return untuned(pairs)


def semi_supervised_batches(
    views,
    labeled,
    unlabeled,
    batch_size,
    unlabeled_per_labeled=5,
    start_step=0,
    shard=(0, 1),
    unlabeled_views=("weak", "strong"),
    labeled_view="labeled",
):
    """Makes batches `({image, weak, strong, index, unlabeled_label}, label)`.

    Both kinds of images are repeated where a batch is larger than their number, see
    `labeled_batches`.

    Args:
        views: `Views`.
        labeled: Integer array of labelled indices.
        unlabeled: Integer array of unlabelled indices.
        batch_size: Integer B of labelled images.
        unlabeled_per_labeled: Integer. U / B.
        start_step: Integer. How many batches were taken before.
        shard: See `index_batches`.
        unlabeled_views: Sequence of `"weak"`, `"strong"`, `"weak2"`, `"strong2"`: the
            views to make. None of them: batches are `({image}, label)`.
        labeled_view: See `labeled_batches`.
    """
    labeled = labeled_batches(
        views, labeled, batch_size, start_step, shard, labeled_view
    )
    names = tuple(unlabeled_views)
    if not names:
        return labeled.map(as_it_is(lambda image, label: ({"image": image}, label)))
    if len(set(names)) < len(names) or set(names) - set(_UNLABELED_VIEWS):
        raise ValueError(
            "`unlabeled_views` should be some of: "
            f"{', '.join(_UNLABELED_VIEWS)}; each once. Received: {unlabeled_views}"
        )
    order = index_batches(
        unlabeled,
        batch_size * unlabeled_per_labeled,
        (views.seed, _UNLABELED_ORDER),
        start_step,
        shard,
    )

    @as_it_is
    def join(labeled, unlabeled):
        (image, label), (shown, unlabeled_label, index) = labeled, unlabeled
        about = {"index": index, "unlabeled_label": unlabeled_label}
        return {"image": image, **shown, **about}, label

    both = tf.data.Dataset.zip(labeled, views.batches(order, names))
    return untuned(both.map(join).prefetch(_BATCHES_AHEAD))


def evaluation_batches(
    source, indices, size, batch_size=256, share=1.0, max_pixels=MAX_PIXELS
):
    """Makes one pass of `(image [B, H, W, C], label [B])`, in order, as when served.

    Args:
        source: `ArraySource` or `EncodedSource`.
        indices: Integer array.
        size: Tuple `(H, W)`.
        batch_size: Integer.
        share: Float. See `central_view`.
        max_pixels: Integer. See `Views`.
    """

    def of_file(index):
        image = decode(source.contents(index), max_pixels)
        return central_view(image, size, share)

    @as_it_is
    def load(index):
        image = noting(source, index, of_file, max_pixels)
        return image, tf.gather(source.labels, index)

    @as_it_is
    def take(index):
        images = central_view(take_images(source.images, index), size, share)
        return images, tf.gather(source.labels, index)

    order = tf.data.Dataset.from_tensor_slices(indices)
    if isinstance(source, HasContents):
        batches = order.map(load, num_parallel_calls=tf.data.AUTOTUNE).batch(batch_size)
    else:
        batches = order.batch(batch_size).map(take, num_parallel_calls=2)
    return untuned(batches.prefetch(_BATCHES_AHEAD))
