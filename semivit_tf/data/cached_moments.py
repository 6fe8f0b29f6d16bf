"""Moments of latents of all images and of their mirrors, made once, read from disk."""

import pathlib

import numpy as np
import tensorflow as tf

from semivit_tf.augment.policies import family_for
from semivit_tf.data.order import index_batches
from semivit_tf.whole_file import whole_path

_SHARD = 1024  # images of a file
_ORDER, _MIRROR = 21, 22  # streams of random numbers


def cache_moments(folder, batches_from, labels, moments, progress=None):
    """Writes the moments of images and of their mirrors; goes on after what is there.

    Args:
        folder: Path. Files of 1024 images appear in it one by one.
        batches_from: Function from a first image and the image after the last to
            batches `(images [B, H, W, C], labels)` of those between.
        labels: Integer array `[N]`.
        moments: Function from images `[B, H, W, C]` to moments `[B, h, w, 2 c]`.
        progress: Optional function that is told how many images are done, of how many.

    Returns:
        `CachedMoments`.
    """
    folder, count = pathlib.Path(folder), len(labels)
    for start in range(0, count, _SHARD):
        path = folder / f"moments-{start // _SHARD:05}.npy"
        if not path.exists():
            parts = []
            for images, _ in batches_from(start, min(start + _SHARD, count)):
                both = [moments(images), moments(tf.reverse(images, [2]))]
                parts.append(np.stack([np.asarray(one) for one in both], axis=1))
            with whole_path(path) as aside, open(aside, "wb") as file:
                np.save(file, np.concatenate(parts))
        if progress is not None:
            progress(min(start + _SHARD, count), count)
    return CachedMoments(folder, labels)


def shows_mirrors(augmentation, image_size):
    """Returns whether a family of views, or the one for such images, mirrors them."""
    family = family_for(image_size) if augmentation == "auto" else augmentation
    return family == "photo"


class CachedMoments:
    """Moments on disk, and their labels.

    Args:
        folder: Path that `cache_moments` has filled.
        labels: Integer array `[N]`.
    """

    def __init__(self, folder, labels):
        self.labels = np.asarray(labels, "int32")
        paths = sorted(pathlib.Path(folder).glob("moments-*.npy"))
        self.files = [np.load(path, mmap_mode="r") for path in paths]
        found = sum(map(len, self.files))
        if found != len(self.labels):
            raise ValueError(
                f"{folder} should hold moments of {len(self.labels)} images. "
                f"Received: {found}"
            )

    @property
    def shape(self):
        """The shape `(h, w, 2 c)` of the moments of an image."""
        return self.files[0].shape[2:]

    def read(self, index, mirrored):
        """Returns the moments of images, or of their mirrors: `[B, h, w, 2 c]`."""
        rows = [
            self.files[place // _SHARD][place % _SHARD, int(side)]
            for place, side in zip(index, mirrored, strict=True)
        ]
        return np.stack(rows).astype("float32")

    def batches(self, batch_size, seed=0, start_step=0, shard=(0, 1), *, mirrors=True):
        """Streams `(moments, labels)`; each image is mirrored every other time.

        Args:
            batch_size: Integer B.
            seed: Integer.
            start_step: Integer. How many batches were taken before.
            shard: See `index_batches`.
            mirrors: Bool. Whether any image is mirrored.
        """
        indices, sides = np.arange(len(self.labels)), 1 + mirrors
        order = index_batches(indices, batch_size, (seed, _ORDER), start_step, shard)

        def shown(passes, index):
            draws = [
                np.random.default_rng([seed, _MIRROR, *of]).integers(sides)
                for of in zip(passes.tolist(), index.tolist(), strict=True)
            ]
            return self.read(index, draws), self.labels[index]

        def as_tensors(passes, index):
            types = tf.float32, tf.int32
            found, labels = tf.numpy_function(shown, [passes, index], types)
            rows = index.shape[0]
            return (
                tf.ensure_shape(found, (rows, *self.shape)),
                tf.ensure_shape(labels, (rows,)),
            )

        return order.map(as_tensors).prefetch(2)
