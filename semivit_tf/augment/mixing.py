"""Mixing of two images and their targets into one.

Mixup takes a weighted sum of both images; cutmix pastes a box of one into the other.
Labelled batches draw one ratio for all rows; probabilistic pseudo mixup takes each
row's ratio from the teacher's confidence in both images.
"""

import functools

import keras
import numpy as np
from keras import ops
from scipy.special import betaincinv

from semivit_tf.contracts import Tensor
from semivit_tf.losses.cross_entropy import smoothed_one_hot


def cutmix_box(ratio, centre, size):
    """Returns a box that leaves about `ratio` of an image, and the exact share left.

    Args:
        ratio: Float tensor `[B]` in [0, 1].
        centre: Tuple of integer tensors `[B]`, row and column of the box's centre.
        size: Tuple `(H, W)`.

    Returns:
        Tuple `(inside, ratio)`: a boolean tensor `[B, H, W]`, and the share `[B]` of
        pixels outside the box, which is larger where the box leaves the image.
    """
    side = ops.sqrt(1.0 - ratio)
    within = []
    covered = []
    for middle, length in zip(centre, size, strict=True):
        half = ops.cast(side * length, "int32") // 2
        low = ops.clip(middle - half, 0, length)
        high = ops.clip(middle + half, 0, length)
        index = ops.arange(length, dtype="int32")[None, :]
        within.append((index >= low[:, None]) & (index < high[:, None]))
        covered.append(high - low)
    inside = within[0][:, :, None] & within[1][:, None, :]
    total = size[0] * size[1]
    return inside, ops.cast(total - covered[0] * covered[1], "float32") / total


def mix_rows(images, partners, ratio, cut, centre):
    """Mixes each image with its partner, by mixup or cutmix.

    Args:
        images: Float tensor `[B, H, W, C]`.
        partners: Float tensor of the same shape.
        ratio: Float tensor `[B]`: the share of the image that should remain.
        cut: Boolean tensor `[B]`: paste a box (cutmix) instead of blending (mixup).
        centre: Tuple of integer tensors `[B]`, see `cutmix_box`.

    Returns:
        Tuple `(mixed, ratio)`; where a box was pasted, `ratio` is the share that
        remained.
    """
    inside, remaining = cutmix_box(ratio, centre, images.shape[1:3])
    weight = ops.cast(ratio, images.dtype)[:, None, None, None]
    blended = weight * images + (1.0 - weight) * partners
    pasted = ops.where(inside[..., None], partners, images)
    mixed = ops.where(cut[:, None, None, None], pasted, blended)
    return mixed, ops.where(cut, remaining, ratio)


def mix_targets(targets, partners, ratio):
    """Returns the targets `[B, K]` weighted by the share of each image."""
    weight = ratio[:, None]
    return weight * targets + (1.0 - weight) * partners


def _seeds(seed, count):
    """Returns a seed for each of several draws; one integer would repeat its draw."""
    if isinstance(seed, int):
        return [seed * count + index for index in range(count)]
    return [seed] * count


def _box_centres(count, size, seeds):
    rows = keras.random.randint((count,), 0, size[0], seed=seeds[0])
    return rows, keras.random.randint((count,), 0, size[1], seed=seeds[1])


@functools.cache
def _beta_quantiles(alpha, intervals=4096):
    return betaincinv(alpha, alpha, np.linspace(0, 1, intervals + 1)).astype("float32")


def draw_beta(alpha, seed=None):
    """Draws a scalar from Beta(alpha, alpha) by interpolating its quantiles.

    `keras.random.beta` cannot be compiled by XLA; this can.
    """
    quantiles = ops.array(_beta_quantiles(float(alpha)))
    intervals = quantiles.shape[0] - 1
    place = keras.random.uniform((), seed=seed) * intervals
    index = ops.minimum(ops.cast(place, "int32"), intervals - 1)
    low, high = ops.take(quantiles, index), ops.take(quantiles, index + 1)
    return low + (high - low) * (place - ops.cast(index, "float32"))


def _cut_and_ratio(mixup_alpha, cutmix_alpha, switch_probability, seeds):
    """Draws for a batch whether a box is pasted, and the share of the images."""
    if mixup_alpha > 0 and cutmix_alpha > 0:
        cut = keras.random.uniform((), seed=seeds[0]) < switch_probability
        cutmix, mixup = (draw_beta(a, seeds[1]) for a in (cutmix_alpha, mixup_alpha))
        return cut, ops.where(cut, cutmix, mixup)
    cut = ops.convert_to_tensor(cutmix_alpha > 0)
    return cut, draw_beta(max(mixup_alpha, cutmix_alpha), seeds[1])


def labeled_mix(
    images,
    labels,
    num_classes,
    *,
    mixup_alpha=0.8,
    cutmix_alpha=1.0,
    probability=1.0,
    switch_probability=0.5,
    label_smoothing=0.1,
    partner=None,
    seed=None,
):
    """Mixes a labelled batch with its own reverse, all rows by one random ratio.

    Args:
        images: Float tensor `[B, H, W, C]`.
        labels: Tensor of class numbers `[B]`, or of distributions `[B, K]`, which may
            be multiplied by weights of the images.
        num_classes: Integer K.
        mixup_alpha: Float. Mixup ratios come from Beta(alpha, alpha); 0: no mixup.
        cutmix_alpha: Float. The same for cutmix.
        probability: Float. The share of batches that are mixed at all.
        switch_probability: Float. The share of cutmix if both alphas are positive.
        label_smoothing: Float. Applied to the targets, mixed or not.
        partner: Optional integer tensor `[B]`: other rows to mix with than the reverse.
        seed: Integer or `keras.random.SeedGenerator`.

    Returns:
        Tuple `(images, targets)` with targets `[B, K]`.

    Reference:
        Zhang et al., mixup, 2018; Yun et al., CutMix, 2019.
    """
    targets = smoothed_one_hot(labels, num_classes, label_smoothing)
    if not (mixup_alpha > 0 or cutmix_alpha > 0) or probability == 0:
        return images, targets
    seeds = _seeds(seed, 5)
    cut, ratio = _cut_and_ratio(mixup_alpha, cutmix_alpha, switch_probability, seeds)
    mixes = keras.random.uniform((), seed=seeds[2]) < probability
    ratio = ops.where(mixes, ratio, 1.0)

    count = ops.shape(images)[0]
    row, column = _box_centres(1, images.shape[1:3], seeds[3:])
    centre = (ops.repeat(row, count), ops.repeat(column, count))

    def other(rows):
        if partner is None:
            return ops.flip(rows, axis=0)
        return ops.take(rows, partner, axis=0)

    mixed, ratio = mix_rows(
        images,
        other(images),
        ops.broadcast_to(ratio, (count,)),
        ops.broadcast_to(cut, (count,)),
        centre,
    )
    return mixed, mix_targets(targets, other(targets), ratio)


def draw_pairs(images, cutmix_probability=0.5, seed=None):
    """Draws with which other image, and how, each image of a batch is mixed.

    Args:
        images: Tensor `[U, H, W, C]`.
        cutmix_probability: Float. Each row's chance of cutmix instead of mixup.
        seed: Integer or `keras.random.SeedGenerator`.

    Returns:
        Tuple `(partner, cut, centre)`: the rows `[U]` that rows are mixed with,
        booleans `[U]`, and the boxes' centres, a tuple of integer tensors `[U]`.
    """
    count = ops.shape(images)[0]
    seeds = _seeds(seed, 4)
    partner = ops.argsort(keras.random.uniform((count,), seed=seeds[0]))
    cut = keras.random.uniform((count,), seed=seeds[1]) < cutmix_probability
    return partner, cut, _box_centres(count, images.shape[1:3], seeds[2:])


def mix_by_confidence(images, targets, confidence, partner, cut, centre):
    """Mixes pairs of images and of targets in proportion to their confidences.

    With confidences o and p an image keeps the share o / (o + p) of itself.

    Args:
        images: Float tensor `[U, H, W, C]`.
        targets: Float tensor `[U, K]`.
        confidence: Float tensor `[U]`.
        partner: See `draw_pairs`; so are the next two.
        cut: Boolean tensor `[U]`.
        centre: Tuple of integer tensors `[U]`.

    Returns:
        Tuple `(images, targets)`.
    """
    other = ops.take(confidence, partner)
    total = confidence + other
    ratio = ops.where(total > 0, confidence / ops.where(total > 0, total, 1.0), 0.5)
    mixed, ratio = mix_rows(
        images, ops.take(images, partner, axis=0), ratio, cut, centre
    )
    return mixed, mix_targets(targets, ops.take(targets, partner, axis=0), ratio)


def probabilistic_pseudo_mixup(
    images: Tensor,
    labels: Tensor,
    confidence: Tensor,
    num_classes: int,
    label_smoothing: float = 0.1,
    cutmix_probability: float = 0.5,
    seed: int | keras.random.SeedGenerator | None = None,
) -> tuple[Tensor, Tensor, Tensor]:
    """Mixes unlabelled images by the teacher's confidence in each.

    Every row gets a random partner, see `mix_by_confidence`, and counts with the larger
    confidence of both: a doubtful image still teaches something where a confident one
    leads.

    Args:
        images: Float tensor `[U, H, W, C]`, the strong views.
        labels: Integer tensor `[U]`, hard pseudo labels.
        confidence: Float tensor `[U]`, the teacher's top probabilities.
        num_classes: Integer K.
        label_smoothing: Float. Applied to the targets.
        cutmix_probability: Float. Each row's chance of cutmix instead of mixup.
        seed: Integer or `keras.random.SeedGenerator`.

    Returns:
        Tuple `(images, targets, confidence)`: mixed images, targets `[U, K]` and the
        confidences `[U]` to be compared with the threshold.

    Reference:
        Cai et al., Semi-supervised Vision Transformers at Scale, 2022.
    """
    confidence = ops.cast(confidence, "float32")
    pairs = draw_pairs(images, cutmix_probability, seed)
    targets = smoothed_one_hot(labels, num_classes, label_smoothing)
    mixed, targets = mix_by_confidence(images, targets, confidence, *pairs)
    return mixed, targets, ops.maximum(confidence, ops.take(confidence, pairs[0]))
