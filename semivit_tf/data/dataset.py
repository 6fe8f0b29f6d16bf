"""A data set as `load_dataset` returns it: its sources, their split and batches."""

import os
from collections.abc import Sequence

import numpy as np

from semivit_tf.augment.image_header import MAX_PIXELS
from semivit_tf.augment.multi_crop import crop_policies
from semivit_tf.augment.policies import create_policies, family_for
from semivit_tf.data import pipelines
from semivit_tf.data.known_arguments import check_known
from semivit_tf.data.label_splits import split_parts
from semivit_tf.data.loaders import load_parts
from semivit_tf.data.views import Views

_PHOTO_SIZE = 224
_LOCAL_SIDE = 96  # of local crops of such a photograph


class Dataset:
    """Labelled, unlabelled, validation and test images of one classification task.

    The training streams are endless: pass `steps_per_epoch` to `fit`. `start_step`
    starts any of them where an earlier run stopped.

    Args:
        parts: `Parts`.
        split: `LabelSplit` of `parts.train`.
        seed: Integer for order and augmentation.
        image_size: Optional integer or `(H, W)`. By default that of all images, or 224.
        labeled_as_unlabeled: Bool. Whether labelled images are also unlabelled ones.
        central_share: Optional float. Which share of an image is seen when it is
            evaluated or served, see `central_view`. By default 0.875 for photographs
            of up to 224 pixels, as published, else 1.
        augmentation: See `create_policies`; so are the further options.
        max_pixels: Integer. An image file of more pixels is not decoded, but an error.
        **options: Such as `strength`, `rand_augment`, `erasing`, `strong_layer`.
    """

    def __init__(
        self,
        parts,
        split,
        *,
        seed=0,
        image_size=None,
        labeled_as_unlabeled=False,
        central_share=None,
        augmentation="auto",
        max_pixels=MAX_PIXELS,
        **options,
    ):
        self.parts, self.split = parts, split
        size = image_size or parts.train.image_shape[:2]
        size = (size, size) if isinstance(size, int) else tuple(size)
        self.image_size = (_PHOTO_SIZE, _PHOTO_SIZE) if None in size else size
        self.image_shape = (*self.image_size, parts.train.image_shape[-1])
        if augmentation == "auto":
            augmentation = family_for(self.image_size)
        if central_share is None:
            photo = augmentation == "photo" and max(self.image_size) <= _PHOTO_SIZE
            central_share = 0.875 if photo else 1.0
        self.central_share = central_share
        self.augmentation = augmentation
        self.strength = options.get("strength", 1.0)
        self.max_pixels = max_pixels
        self._options = options
        self.views = self.views_with(seed=seed)
        self.unlabeled_indices = (
            np.union1d(split.labeled, split.unlabeled)
            if labeled_as_unlabeled
            else split.unlabeled
        )

    def views_with(self, *, seed=None, **options):
        """Returns the views of training images, with other options.

        Args:
            seed: Optional integer. Defaults to that of the data set.
            **options: See `create_policies`; None stands for the data set's own.
        """
        given = {name: value for name, value in options.items() if value is not None}
        policies = create_policies(
            self.augmentation, self.image_shape, **{**self._options, **given}
        )
        seed = self.views.seed if seed is None else seed
        return Views(self.parts.train, policies, seed, self.max_pixels)

    @property
    def class_names(self):
        """The names of the classes, in the order of the labels."""
        return self.parts.train.class_names

    @property
    def image_indices(self):
        """All training images but those for validation, for pre-training."""
        return np.union1d(self.split.labeled, self.split.unlabeled)

    def steps_per_epoch(self, unlabeled_batch_size):
        """Returns how many batches make one pass over the unlabelled images."""
        return max(1, len(self.unlabeled_indices) // unlabeled_batch_size)

    def images(self, batch_size, start_step=0, shard=(0, 1)):
        """Streams training images without labels: all but the validation images."""
        return pipelines.image_batches(
            self.views, self.image_indices, batch_size, start_step, shard
        )

    def local_size(self, multiple=1):
        """Returns `(h, w)` of local crops: 96 at 224 pixels, else in proportion.

        Args:
            multiple: Integer that divides the sides, such as the size of a patch.
        """
        return tuple(
            max(1, round(side * _LOCAL_SIDE / _PHOTO_SIZE / multiple)) * multiple
            for side in self.image_size
        )

    def crops(
        self,
        batch_size,
        local_crops=8,
        start_step=0,
        shard=(0, 1),
        *,
        family=None,
        local_size=None,
        split=None,
    ):
        """Streams crops of training images without labels, for `DINO`.

        Args:
            batch_size: Integer B of images.
            local_crops: Integer V; may be 0.
            start_step: Integer. How many batches were taken before.
            shard: See `index_batches`.
            family: Optional string. See `crop_policies`. Defaults to that of the views.
            local_size: Optional integer or `(h, w)`. Defaults to `local_size()`.
            split: Optional float. See `crop_policies`.

        Returns:
            Endless dataset of dicts of `global` `[B, 2, H, W, C]` and, with local
            crops, `local` `[B, V, h, w, C]`.
        """
        size = local_size or self.local_size()
        policies = crop_policies(
            family or self.augmentation,
            self.image_size,
            (size, size) if isinstance(size, int) else size,
            local_crops,
            split=split,
            strength=self.strength,
        )
        views = Views(self.parts.train, policies, self.views.seed, self.max_pixels)
        return pipelines.crop_batches(
            views, self.image_indices, batch_size, start_step, shard
        )

    def labeled(
        self, batch_size, start_step=0, shard=(0, 1), *, view="labeled", **options
    ):
        """Streams `(image, label)` batches of the labelled images.

        Args:
            batch_size: Integer. One larger than the number of labelled images repeats
                them, drawn anew.
            start_step: Integer. How many batches were taken before.
            shard: See `index_batches`.
            view: `"labeled"`, or `"weak"` for the policy of weak views.
            **options: See `views_with`.
        """
        return pipelines.labeled_batches(
            self.views_with(**options),
            self.split.labeled,
            batch_size,
            start_step,
            shard,
            view,
        )

    def semi_supervised(
        self,
        batch_size,
        unlabeled_per_labeled=5,
        start_step=0,
        shard=(0, 1),
        *,
        unlabeled_views=("weak", "strong"),
        labeled_view="labeled",
        **options,
    ):
        """Streams `({image, weak, strong, index, unlabeled_label}, label)` batches.

        `image` `[B, H, W, C]` and `label` `[B]` are those of labelled images. The rest
        is of unlabelled ones: the views `[U, H, W, C]`; `index` `[U]` (int64), their
        positions in `parts.train`; `unlabeled_label` `[U]`, the true labels, for
        diagnostics (-1 where unknown).

        Args:
            batch_size: Integer B of labelled images, see `labeled`.
            unlabeled_per_labeled: Integer. U / B.
            start_step: Integer. How many batches were taken before.
            shard: See `index_batches`.
            unlabeled_views: Sequence of `"weak"`, `"strong"`, `"weak2"`, `"strong2"`:
                the views to make, and the keys of the batch. The second ones are made
                as the first ones are, with other draws.
            labeled_view: `"labeled"`, or `"weak"` for the policy of weak views.
            **options: See `views_with`.
        """
        return pipelines.semi_supervised_batches(
            self.views_with(**options),
            self.split.labeled,
            self.unlabeled_indices,
            batch_size,
            unlabeled_per_labeled,
            start_step,
            shard,
            unlabeled_views,
            labeled_view,
        )

    def _evaluation(self, source, indices, batch_size):
        return pipelines.evaluation_batches(
            source,
            indices,
            self.image_size,
            batch_size,
            self.central_share,
            self.max_pixels,
        )

    def evaluated(self, part, indices, batch_size=256):
        """Returns one pass over images of `"train"` or `"test"`, in order."""
        return self._evaluation(getattr(self.parts, part), indices, batch_size)

    def as_evaluated(self, indices, batch_size=256):
        """Returns one pass over training images, in order, as they are evaluated."""
        return self.evaluated("train", indices, batch_size)

    def validation(self, batch_size=256):
        """Returns one pass over the validation images, or None if there are none."""
        chosen = self.split.validation
        return self.as_evaluated(chosen, batch_size) if len(chosen) else None

    def test(self, batch_size=256):
        """Returns one pass over the test images, or None if there are none."""
        if self.parts.test is None:
            return None
        good = np.delete(np.arange(len(self.parts.test)), self.parts.bad_test)
        return self.of_test(good, batch_size)

    def of_test(self, indices, batch_size=256):
        """Does so for some of the test images, in order."""
        return self._evaluation(self.parts.test, indices, batch_size)


def load_dataset(
    name: str,
    data_dir: str | os.PathLike | None = None,
    labels_per_class: int | None = None,
    label_fraction: float | None = None,
    seed: int = 0,
    *,
    validation_per_class: int = 0,
    labeled_index: str | os.PathLike | None = None,
    unlabeled_index: str | os.PathLike | None = None,
    class_names: Sequence[str] | None = None,
    **options,
) -> Dataset:
    """Loads a data set by name and splits its training images by seed.

    Args:
        name: String. `"digits"`, `"folder"`, `"csv"`, `"idx"`, `"npz"`, `"tfds:NAME"`.
        data_dir: Optional path, for data sets that are read from files.
        labels_per_class: See `split_labels`; so are the next three.
        label_fraction: Float.
        seed: Integer.
        validation_per_class: Integer.
        labeled_index: See `split_parts`; so is the next.
        unlabeled_index: Optional path.
        class_names: Optional sequence of strings, for data that only number classes.
        **options: Arguments of `Dataset`, such as `augmentation` or `image_size`.

    Returns:
        A `Dataset`.
    """
    check_known("load_dataset", options, load_dataset, Dataset, create_policies)
    parts = load_parts(name, data_dir, class_names)
    split = split_parts(
        parts,
        labeled_index=labeled_index,
        unlabeled_index=unlabeled_index,
        labels_per_class=labels_per_class,
        label_fraction=label_fraction,
        validation_per_class=validation_per_class,
        seed=seed,
    )
    return Dataset(parts, split, seed=seed, **options)
