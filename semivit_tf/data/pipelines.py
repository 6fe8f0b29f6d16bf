"""How do indices become the batches that a model learns from?

Every stream is endless and starts at any step: give `steps_per_epoch` to `fit`. Batches
are made whole, on all cores, while the model trains on earlier ones.
"""

import tensorflow as tf

from semivit_tf.augment.central_view import central_view
from semivit_tf.augment.randomness import image_keys
from semivit_tf.data.order import index_batches

# Tell apart the draws of different uses of the same image.
_STREAMS = {"labeled": 1, "weak": 2, "strong": 3, "pretrain": 4}
_LABELED_ORDER, _UNLABELED_ORDER, _PRETRAIN_ORDER = 11, 12, 13


def _resized(images, size):
    if tuple(images.shape[1:3]) == tuple(size):
        return images
    return tf.map_fn(lambda image: central_view(image, size), images)


class Views:
    """Reads images of a source and makes views of them.

    Args:
        source: See `ArraySource`.
        image_size: Tuple `(H, W)` of the views.
        policies: Dict of view name to policy, see `create_policies`.
        seed: Integer.
    """

    def __init__(self, source, image_size, policies, seed):
        self.source = source
        self.image_size = image_size
        self.policies = policies
        self.seed = seed

    def read(self, index):
        """Returns images `[N, H, W, C]` of the wanted size, as they are."""
        return _resized(self.source.read(index), self.image_size)

    def __call__(self, view, images, epoch, index, stream=None):
        """Returns one view of images that were read, by (seed, epoch, index)."""
        keys = image_keys(self.seed, _STREAMS[stream or view], epoch, index)
        return self.policies[view](images, keys)


def _prepared(batches, function):
    batches = batches.map(function, num_parallel_calls=tf.data.AUTOTUNE)
    return batches.prefetch(tf.data.AUTOTUNE)


def image_batches(views, indices, batch_size, view="weak", start_step=0):
    """Makes batches of images `[B, H, W, C]`, for pre-training."""
    batches = index_batches(
        indices, batch_size, (views.seed, _PRETRAIN_ORDER), start_step
    )

    def load(epoch, index):
        return views(view, views.read(index), epoch, index, stream="pretrain")

    return _prepared(batches, load)


def labeled_batches(views, indices, batch_size, start_step=0):
    """Makes batches `(image [B, H, W, C], label [B])`."""
    batches = index_batches(
        indices, batch_size, (views.seed, _LABELED_ORDER), start_step
    )

    def load(epoch, index):
        images = views("labeled", views.read(index), epoch, index)
        return images, tf.gather(views.source.labels, index)

    return _prepared(batches, load)


def semi_supervised_batches(
    views, labeled, unlabeled, batch_size, unlabeled_per_labeled=5, start_step=0
):
    """Makes batches `({image, weak, strong, unlabeled_label}, label)`.

    Args:
        views: `Views`.
        labeled: Integer array of labelled indices.
        unlabeled: Integer array of unlabelled indices.
        batch_size: Integer B of labelled images.
        unlabeled_per_labeled: Integer. U / B.
        start_step: Integer. How many batches were taken before.
    """
    unlabeled_batches = index_batches(
        unlabeled,
        batch_size * unlabeled_per_labeled,
        (views.seed, _UNLABELED_ORDER),
        start_step,
    )

    def load(epoch, index):
        images = views.read(index)
        return {
            "weak": views("weak", images, epoch, index),
            "strong": views("strong", images, epoch, index),
            "unlabeled_label": tf.gather(views.source.labels, index),
        }

    def join(labeled, unlabeled):
        image, label = labeled
        return {"image": image, **unlabeled}, label

    both = tf.data.Dataset.zip(
        labeled_batches(views, labeled, batch_size, start_step),
        _prepared(unlabeled_batches, load),
    )
    return _prepared(both, join)


def evaluation_batches(source, indices, image_size, batch_size=256):
    """Makes one pass of `(image [B, H, W, C], label [B])`, in order."""
    batches = tf.data.Dataset.from_tensor_slices(indices).batch(batch_size)

    def load(index):
        images = _resized(source.read(index), image_size)
        return images, tf.gather(source.labels, index)

    return _prepared(batches, load)
