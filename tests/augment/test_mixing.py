"""Mixing against values worked out by hand and against NumPy."""

import keras
import numpy as np
import pytest
import tensorflow as tf
from scipy import stats

from semivit_tf.augment.mixing import (
    cutmix_box,
    draw_beta,
    labeled_mix,
    mix_by_confidence,
    probabilistic_pseudo_mixup,
)
from semivit_tf.losses.cross_entropy import smoothed_one_hot


def numpy_box(ratio, row, column, height, width):
    """The published box, written with Python numbers."""
    root = np.sqrt(1.0 - ratio)
    tall, wide = int(height * root), int(width * root)
    y1, y2 = np.clip([row - tall // 2, row + tall // 2], 0, height)
    x1, x2 = np.clip([column - wide // 2, column + wide // 2], 0, width)
    return y1, y2, x1, x2


def mix(images, labels, confidence, partner, cut, centre=None, label_smoothing=0.1):
    count = len(labels)
    centre = centre or (np.zeros(count, "int32"), np.zeros(count, "int32"))
    outputs = mix_by_confidence(
        tf.constant(images),
        smoothed_one_hot(labels, 10, label_smoothing),
        tf.constant(confidence, tf.float32),
        partner=tf.constant(partner),
        cut=tf.constant(cut),
        centre=tuple(tf.constant(c) for c in centre),
    )
    return [np.asarray(output) for output in outputs]


def test_two_rows_are_mixed_by_their_confidences():
    images = np.random.default_rng(0).random((2, 4, 4, 3), "float32")
    mixed, targets = mix(
        images, [3, 5], [0.9, 0.1], [1, 0], [False, False], label_smoothing=0.0
    )
    np.testing.assert_allclose(mixed[0], 0.9 * images[0] + 0.1 * images[1], atol=1e-6)
    np.testing.assert_allclose(mixed[1], 0.1 * images[1] + 0.9 * images[0], atol=1e-6)
    np.testing.assert_allclose(targets[0, [3, 5]], [0.9, 0.1], atol=1e-6)
    np.testing.assert_allclose(targets[1, [3, 5]], [0.9, 0.1], atol=1e-6)


def test_equal_confidences_give_two_smoothed_halves():
    images = np.zeros((2, 2, 2, 1), "float32")
    _, targets = mix(images, [0, 1], [0.4, 0.4], [1, 0], [False, False])
    expected = np.full(10, 0.01)
    expected[:2] = 0.46
    np.testing.assert_allclose(targets, [expected, expected], atol=1e-6)
    np.testing.assert_allclose(targets.sum(axis=1), 1.0, atol=1e-6)


def test_a_row_that_is_its_own_partner_is_unchanged():
    images = np.random.default_rng(1).random((2, 4, 4, 1), "float32")
    mixed, targets = mix(images, [2, 4], [0.8, 0.3], [0, 1], [True, False])
    np.testing.assert_allclose(mixed, images, atol=1e-7)
    np.testing.assert_allclose(targets[0, 2], 0.91, atol=1e-6)


def test_zero_confidence_on_both_sides_is_half_and_half():
    images = np.stack([np.zeros((2, 2, 1)), np.ones((2, 2, 1))]).astype("float32")
    mixed, _ = mix(images, [0, 1], [0.0, 0.0], [1, 0], [False, False])
    np.testing.assert_allclose(mixed, 0.5)


@pytest.mark.parametrize("size", [(8, 8), (12, 20), (7, 5)])
def test_corrected_ratio_is_the_share_of_kept_pixels(size):
    generator = np.random.default_rng(2)
    ratio = generator.random(200).astype("float32")
    centre = tuple(generator.integers(0, side, 200).astype("int32") for side in size)
    inside, remaining = cutmix_box(tf.constant(ratio), centre, size)
    inside = np.asarray(inside)
    np.testing.assert_array_equal(
        np.asarray(remaining),
        (1 - inside.mean(axis=(1, 2), dtype="float64")).astype("float32"),
    )
    for number in range(200):
        y1, y2, x1, x2 = numpy_box(
            ratio[number], centre[0][number], centre[1][number], *size
        )
        expected = np.zeros(size, bool)
        expected[y1:y2, x1:x2] = True
        np.testing.assert_array_equal(inside[number], expected)


def test_cut_rows_hold_pixels_of_both_images_in_the_target_share():
    images = np.stack([np.zeros((16, 16, 1)), np.ones((16, 16, 1))]).astype("float32")
    centre = (np.array([8, 3], "int32"), np.array([8, 15], "int32"))
    mixed, targets = mix(
        images, [0, 1], [0.6, 0.2], [1, 0], [True, True], centre, label_smoothing=0.0
    )
    assert set(np.unique(mixed)) == {0.0, 1.0}
    np.testing.assert_allclose(targets[0, 1], mixed[0].mean(), atol=1e-6)
    np.testing.assert_allclose(targets[1, 1], mixed[1].mean(), atol=1e-6)


def test_pseudo_mixup_agrees_with_numpy_on_many_rows():
    """The pasted area tells cutmix from mixup, the targets tell the partner."""
    count, size = 64, 16
    images = np.zeros((count, size, size, 1), "float32")
    images[:] = np.arange(count)[:, None, None, None]
    labels = np.arange(count)
    confidence = np.random.default_rng(3).uniform(0.1, 1, count).astype("float32")
    mixed, targets, larger = (
        np.asarray(output)
        for output in probabilistic_pseudo_mixup(
            images, labels, confidence, count, label_smoothing=0.0, seed=7
        )
    )
    np.testing.assert_allclose(targets.sum(axis=1), 1.0, atol=1e-5)
    partners, cut = [], 0
    for row in range(count):
        others = [c for c in np.flatnonzero(targets[row] > 0) if c != row]
        partner = others[0] if others else row
        partners.append(partner)
        np.testing.assert_allclose(
            larger[row], max(confidence[row], confidence[partner])
        )
        share = targets[row, row]
        np.testing.assert_allclose(
            mixed[row].mean(), share * row + (1 - share) * partner, rtol=1e-4, atol=1e-4
        )
        values = np.unique(mixed[row])
        if partner != row and set(values) <= {row, partner}:
            cut += 1
        elif partner != row:
            expected = confidence[row] / (confidence[row] + confidence[partner])
            np.testing.assert_allclose(share, expected, rtol=1e-5)
    assert 16 <= cut <= 48  # half of 64, within 4 standard deviations
    full = [p for row, p in enumerate(partners) if p != row]
    assert len(set(full)) == len(full)  # a permutation uses no partner twice


def test_no_cutmix_and_only_cutmix():
    images = np.random.default_rng(4).random((32, 8, 8, 1), "float32")
    arguments = (np.arange(32) % 10, np.full(32, 0.5, "float32"), 10)
    blended = probabilistic_pseudo_mixup(
        images, *arguments, cutmix_probability=0.0, seed=1
    )[0]
    pasted = probabilistic_pseudo_mixup(
        images, *arguments, cutmix_probability=1.0, seed=1
    )[0]
    originals = set(images.ravel().tolist())
    assert set(np.asarray(pasted).ravel().tolist()) <= originals
    assert len(set(np.asarray(blended).ravel().tolist()) & originals) < 32 * 64 / 2


def test_the_draws_of_an_integer_seed_differ_from_each_other():
    """One integer for all draws would tie the box to the partner."""
    images = np.zeros((8, 8, 8, 1), "float32")
    first = [
        probabilistic_pseudo_mixup(
            images, np.arange(8), np.full(8, 0.5, "float32"), 8, seed=seed
        )[1]
        for seed in (0, 0, 1)
    ]
    np.testing.assert_array_equal(first[0], first[1])
    assert np.abs(np.asarray(first[0]) - np.asarray(first[2])).max() > 0.1


@pytest.mark.parametrize("alpha", [0.2, 0.8, 1.0, 5.0])
def test_quantile_draws_follow_the_beta_distribution(alpha):
    generator = keras.random.SeedGenerator(0)
    draw = tf.function(lambda: draw_beta(alpha, generator))
    drawn = np.array([float(draw()) for _ in range(1500)])
    assert stats.kstest(drawn, stats.beta(alpha, alpha).cdf).pvalue > 1e-3


def test_labeled_mixup_pairs_each_row_with_the_reverse():
    images = np.arange(4, dtype="float32")[:, None, None, None] * np.ones((4, 4, 4, 1))
    images = images.astype("float32")
    mixed, targets = labeled_mix(
        images, np.arange(4), 4, cutmix_alpha=0, label_smoothing=0.0, seed=3
    )
    targets, mixed = np.asarray(targets), np.asarray(mixed)
    ratio = targets[0, 0]
    assert 0 < ratio < 1
    for row in range(4):
        np.testing.assert_allclose(targets[row, row], ratio, atol=1e-6)
        np.testing.assert_allclose(targets[row, 3 - row], 1 - ratio, atol=1e-6)
        np.testing.assert_allclose(
            mixed[row], ratio * row + (1 - ratio) * (3 - row), atol=1e-5
        )


def test_labeled_cutmix_targets_state_the_pasted_share():
    images = np.stack([np.full((16, 16, 1), v) for v in (0.0, 1.0)]).astype("float32")
    for seed in range(10):
        mixed, targets = labeled_mix(
            images, np.arange(2), 2, mixup_alpha=0, label_smoothing=0.0, seed=seed
        )
        np.testing.assert_allclose(
            np.asarray(targets)[0, 1], np.asarray(mixed)[0].mean(), atol=1e-6
        )


def test_nothing_is_mixed_at_probability_zero_but_targets_are_smoothed():
    images = np.random.default_rng(5).random((2, 4, 4, 1), "float32")
    mixed, targets = labeled_mix(images, np.array([0, 1]), 4, probability=0.0)
    np.testing.assert_array_equal(mixed, images)
    np.testing.assert_allclose(np.asarray(targets)[0], [0.925, 0.025, 0.025, 0.025])


@pytest.mark.parametrize("alphas", [(0.8, 0.0), (0.0, 1.0), (0.8, 1.0)])
def test_a_ratio_of_one_is_no_mixing(alphas):
    """The draw decides not to mix, and the whole computation is the identity."""
    images = np.random.default_rng(5).random((4, 6, 6, 1), "float32")
    mixed, targets = labeled_mix(
        images,
        np.arange(4),
        4,
        mixup_alpha=alphas[0],
        cutmix_alpha=alphas[1],
        probability=1e-9,
        seed=2,
    )
    np.testing.assert_array_equal(mixed, images)
    np.testing.assert_allclose(targets, smoothed_one_hot(np.arange(4), 4, 0.1))


def test_mixing_compiles_under_xla():
    generator = keras.random.SeedGenerator(0)
    images = np.random.default_rng(6).random((6, 8, 8, 1), "float32")

    @tf.function(jit_compile=True)
    def both(images):
        labels = tf.range(6)
        labeled = labeled_mix(images, labels, 10, seed=generator)
        pseudo = probabilistic_pseudo_mixup(
            images, labels, tf.fill((6,), 0.5), 10, seed=generator
        )
        return labeled[1], pseudo[1]

    for targets in both(tf.constant(images)):
        np.testing.assert_allclose(np.asarray(targets).sum(axis=1), 1.0, atol=1e-5)
