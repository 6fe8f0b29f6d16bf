"""Semi-supervised batches of two data sets of `tf.data`: labelled and unlabelled."""

from collections.abc import Sequence

import numpy as np
import tensorflow as tf

from semivit_tf.augment.policies import create_policies
from semivit_tf.augment.randomness import image_key
from semivit_tf.data.pipelines import untuned
from semivit_tf.data.views import Views, stream

# What a caller may ask for, and the name of that view in `Views`.
_LABELED_VIEWS = {"labeled": "labeled", "weak": "labeled_weak"}
_UNLABELED_VIEWS = ("weak", "strong", "weak2", "strong2")
_PARALLEL = {"num_parallel_calls": tf.data.AUTOTUNE, "deterministic": True}


def pair_datasets(
    labeled: tf.data.Dataset,
    unlabeled: tf.data.Dataset,
    batch_size: int = 32,
    unlabeled_per_labeled: int = 5,
    *,
    image_size: tuple[int, int] | None = None,
    augmentation: str = "auto",
    seed: int = 0,
    unlabeled_views: Sequence[str] = ("weak", "strong"),
    labeled_view: str = "labeled",
    **options,
) -> tf.data.Dataset:
    """Makes batches `({image, weak, strong}, label)` of two data sets of images.

    Images are float or uint8, of one size, with pixels in [0, 255]. Both data sets may
    be batched or not, as `keras.utils.image_dataset_from_directory` makes them, and
    should be shuffled where they are made. An epoch is one pass over the unlabelled
    images, without the rest that is no batch; the labelled ones are repeated.
    Augmentation differs from epoch to epoch.

    Args:
        labeled: `tf.data.Dataset` of `(image, label)`.
        unlabeled: `tf.data.Dataset` of images. Where it has labels, they are used to
            report the quality of pseudo labels and never reach a loss.
        batch_size: Integer B of labelled images.
        unlabeled_per_labeled: Integer. U / B.
        image_size: Optional tuple `(H, W)` of the views; that of the images by default.
        augmentation: String. The family of views, see `create_policies`.
        seed: Integer.
        unlabeled_views: The method's `unlabeled_views`.
        labeled_view: The method's `labeled_view`.
        **options: Passed to `create_policies`, such as `strength`.

    Returns:
        `tf.data.Dataset` with batches of a fixed size.
    """
    _check_views(unlabeled_views, labeled_view)
    size = batch_size * unlabeled_per_labeled
    _check_labeled(labeled)
    _check_count(unlabeled, size)
    labeled, unlabeled = _images(labeled, "labeled"), _images(unlabeled, "unlabeled")
    shape = unlabeled.element_spec[0].shape
    policies = create_policies(
        augmentation, (*(image_size or shape[:2]), shape[2]), **options
    )
    views, view = Views(None, policies, seed), _LABELED_VIEWS[labeled_view]

    def join(of_labeled, of_unlabeled):
        (image, label), (shown, *truth) = of_labeled, of_unlabeled
        about = {"unlabeled_label": truth[0]} if truth else {}
        return {"image": image[view], **shown, **about}, label

    both = tf.data.Dataset.zip(
        _batches(labeled.repeat(), batch_size, views, (view,)),
        _batches(unlabeled, size, views, tuple(unlabeled_views)),
    )
    return untuned(both.map(join).prefetch(2))


def _check_views(unlabeled_views, labeled_view):
    unknown = set(unlabeled_views) - set(_UNLABELED_VIEWS)
    if unknown or labeled_view not in _LABELED_VIEWS:
        raise ValueError(
            f"`unlabeled_views` should be some of {', '.join(_UNLABELED_VIEWS)}, and "
            f"`labeled_view` one of {', '.join(_LABELED_VIEWS)}. "
            f"Received: {unlabeled_views}, {labeled_view!r}"
        )


def _check_labeled(dataset):
    spec = dataset.element_spec
    if not isinstance(spec, tuple) or len(spec) != 2:
        raise ValueError(
            f"`labeled` should be a data set of (image, label). Received: {spec}"
        )


def _images(dataset, name):
    """Returns a data set, batched or not, as one of single `(uint8 image, ...)`."""
    spec = dataset.element_spec
    image = spec[0] if isinstance(spec, tuple) else spec
    if not isinstance(image, tf.TensorSpec) or image.shape.rank not in (3, 4):
        raise ValueError(
            f"`{name}` should be a data set of images [H, W, C] or [B, H, W, C]. "
            f"Received: {spec}"
        )
    if not image.shape[-3:].is_fully_defined():
        raise ValueError(
            f"`{name}` should have images of one size, which its shape says; resize "
            f"them first. Received: shape {tuple(image.shape)}"
        )

    def as_bytes(image, *more):
        if image.dtype != tf.uint8:
            pixels = tf.clip_by_value(tf.cast(image, tf.float32), 0.0, 255.0)
            image = tf.cast(tf.round(pixels), tf.uint8)
        return (image, *more)

    dataset = dataset.map(as_bytes, **_PARALLEL)
    return dataset.unbatch() if image.shape.rank == 4 else dataset


def _check_count(dataset, size):
    """Refuses a data set that is known to be smaller than a batch of it."""
    spec = dataset.element_spec
    shape = (spec[0] if isinstance(spec, tuple) else spec).shape
    count = int(dataset.cardinality())
    if shape.rank == 3 and 0 <= count < size:
        raise ValueError(
            f"`unlabeled` should have at least the {size} images of a batch; a smaller "
            f"`batch_size` or `unlabeled_per_labeled` needs fewer. Received: {count}"
        )


def _batches(images, size, views, names):
    """Makes batches `(views, ...)` of single `(image, ...)`.

    An image has no place in a source here; its key is a number drawn in each epoch.
    """
    draws = tf.data.Dataset.random(views.seed, rerandomize_each_iteration=True)
    policies = [views.policy(name) for name in names]

    def make(images, draws):
        keys = np.array(
            [
                [image_key(views.seed, stream(name), 0, draw) for name in names]
                for draw in draws.tolist()
            ],
            "uint64",
        )
        shown = [
            np.stack(
                [
                    policy.view(image, policy.box(*image.shape[:2], key), key)
                    for image, key in zip(images, column, strict=True)
                ]
            )
            for policy, column in zip(policies, keys.T, strict=True)
        ]
        return (*shown, keys)

    def show(examples, draws):
        images, *more = examples
        kinds = [tf.uint8] * len(names) + [tf.uint64]
        *shown, keys = tf.numpy_function(make, [images, draws], kinds, stateful=False)
        keys.set_shape((size, len(names)))
        finished = {}
        for place, (name, policy) in enumerate(zip(names, policies, strict=True)):
            shown[place].set_shape((size, *policy.framing.size, images.shape[-1]))
            finished[name] = policy.finish(shown[place], keys[:, place])
        return (finished, *more)

    batches = tf.data.Dataset.zip(images, draws).batch(size, drop_remainder=True)
    return batches.map(show, **_PARALLEL)
