"""Leaving out what does not count changes neither loss nor gradients."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from semivit_tf.methods.semi_supervised import SemiSupervised
from semivit_tf.methods.semi_vit import SemiViT
from tests.conformance import adapted_network
from tests.methods.small import (
    loss_and_terms,
    semi_batch,
    sharpen,
    small_convnext,
    small_vit,
)

UNLABELED = 40


class Given(SemiSupervised):
    """Keeps the images it is told to, and counts those that the student sees."""

    keeps = 0
    rows = None

    def select(self, probabilities, index=None):
        kept = np.zeros(UNLABELED, "float32")
        kept[np.random.default_rng(1).permutation(UNLABELED)[: self.keeps]] = 1.0
        return tf.constant(kept)

    def scores_where_kept(self, images, weight):
        scores, real = [], self.student.scores
        self.student.scores = lambda images, training: (
            scores.append(real(images, training)) or scores[0]
        )
        try:
            return super().scores_where_kept(images, weight)
        finally:
            self.student.scores = real
            self.rows = scores[0].shape[0]


def gradients(backbone, keeps, gated, method=Given, **options):
    keras.utils.set_random_seed(0)
    model = method(backbone(), 3, seed=0, **options)
    model.keeps = keeps
    sharpen(model.student, 5.0)
    sharpen(model.teacher, 5.0)
    model.compile(keras.optimizers.SGD(), gated=gated, jit_compile=False)
    with tf.GradientTape() as tape:
        loss, terms = loss_and_terms(model, semi_batch(4, UNLABELED))
    found = tape.gradient(loss, model.trainable_variables)
    return model, float(loss), terms, [np.asarray(gradient) for gradient in found]


def assert_same(ones, others):
    _, loss, _, expected = ones
    _, other, _, found = others
    assert loss == pytest.approx(other, rel=1e-5)
    assert_same_tensors(expected, found)


def assert_same_tensors(expected, found):
    """Compares each tensor by itself: a small one does not hide behind a large one."""
    assert max(np.linalg.norm(gradient) for gradient in expected) > 1e-3
    for one, two in zip(expected, found, strict=True):
        assert np.linalg.norm(two - one) <= 1e-5 * np.linalg.norm(one)


@pytest.mark.parametrize("keeps", [0, 1, 20, 40])
@pytest.mark.parametrize("backbone", [small_vit, small_convnext])
def test_loss_and_gradients_are_the_same_from_fewer_rows(backbone, keeps):
    gated = gradients(backbone, keeps, "auto")
    assert gated[0].gated and gated[0].rows == max(keeps, 1)
    whole = gradients(backbone, keeps, False)
    assert whole[0].rows == UNLABELED
    assert_same(whole, gated)


class ByPixel(Given):
    """Keeps images whose first pixel is bright, on whatever replica."""

    def __init__(self, *args, **kwargs):
        super().__init__(*args, **kwargs)
        self.rows_by_part, self.gradients_by_replica = [], []

    def mix(self, images, targets, confidence, weight):
        return images, targets, tf.cast(images[:, 0, 0, 0] > 127.5, "float32")

    def select(self, probabilities, index=None):
        return tf.ones(probabilities.shape[0])

    def scores_where_kept(self, images, weight):
        scores = super().scores_where_kept(images, weight)
        self.rows_by_part.append(self.rows)
        return scores

    def change_gradients(self, gradients, variables):
        self.gradients_by_replica.append([np.asarray(one) for one in gradients])
        return gradients


def one_step(strategy, batch_parts, gated):
    """Trains for a step; returns the model and what the optimizer got in all."""
    keras.utils.set_random_seed(0)
    with strategy.scope():
        model = ByPixel(small_vit(), 3, mixup_alpha=0, cutmix_alpha=0)
        sharpen(model.student, 5.0)
        sharpen(model.teacher, 5.0)
        optimizer = keras.optimizers.SGD(0.1)
        how = {"jit_compile": False, "run_eagerly": True}
        model.compile(optimizer, gated=gated, batch_parts=batch_parts, **how)
    data = tf.data.Dataset.from_tensors(semi_batch(8, UNLABELED))
    logs = model.fit(data, verbose=0, shuffle=False).history
    gradients = zip(*model.gradients_by_replica, strict=True)
    return model, logs, [np.sum(of_replicas, axis=0) for of_replicas in gradients]


@pytest.fixture(scope="module")
def whole_step():
    """All rows, in one part on one device."""
    return one_step(tf.distribute.get_strategy(), 1, gated=False)


@pytest.mark.parametrize(("replicas", "parts"), [(1, 2), (2, 1), (2, 2)])
def test_replicas_and_parts_leave_out_rows_of_their_own(
    replicas, parts, whole_step, mirrored
):
    strategy = mirrored if replicas == 2 else tf.distribute.get_strategy()
    model, logs, found = one_step(strategy, parts, gated="auto")
    assert len(model.gradients_by_replica) == replicas
    rows = model.rows_by_part
    assert len(rows) == replicas * parts and len(set(rows)) > 1
    assert whole_step[0].rows_by_part == [UNLABELED]
    assert sum(rows) == round(whole_step[1]["kept"][0] * UNLABELED)
    assert 0.4 < sum(rows) / UNLABELED < 0.6
    assert logs["loss"] == pytest.approx(whole_step[1]["loss"], rel=1e-5)
    assert_same_tensors(whole_step[2], found)


def test_mixed_images_are_left_out_alike():
    whole, gated = (
        gradients(small_vit, 0, g, SemiViT, threshold=0.7) for g in (False, True)
    )
    assert 0.0 < float(gated[2]["kept"][0]) < 1.0
    assert_same(whole, gated)


@pytest.mark.parametrize("keeps", [0, 7])
def test_a_compiled_step_trains_with_any_number_of_rows(keeps):
    model = Given(small_vit(), 3)
    model.keeps = keeps
    model.compile(keras.optimizers.SGD(0.1), jit_compile=False)
    history = model.fit(
        tf.data.Dataset.from_tensors(semi_batch(4, UNLABELED)).repeat(2), verbose=0
    ).history
    assert np.isfinite(history["loss"]).all()
    assert history["kept"] == pytest.approx([keeps / UNLABELED])


class ATPU(tf.distribute.OneDeviceStrategy):
    """A processor under the name of a TPU's strategy."""


ATPU.__name__ = tf.distribute.TPUStrategy.__name__


@pytest.mark.parametrize(
    ("backbone", "strategy", "jit_compile", "reason"),
    [
        (adapted_network, None, False, "the student has batch statistics"),
        (small_vit, None, True, "XLA needs shapes that do not change"),
        (small_vit, ATPU, False, "a TPU needs shapes that do not change"),
    ],
)
def test_all_rows_are_used_where_they_have_to_be(
    backbone, strategy, jit_compile, reason
):
    strategy = strategy("CPU:0") if strategy else tf.distribute.get_strategy()
    with strategy.scope():
        model = SemiViT(backbone(), 3)
        model.compile(jit_compile=jit_compile)
    assert model.gated is False
    assert model.needs_all_rows() == reason
    with pytest.raises(ValueError, match=f"`gated=True` is not possible: {reason}"):
        model.compile(jit_compile=jit_compile, gated=True)


def test_rows_are_left_out_where_they_may_be_unless_that_is_unwanted():
    model = SemiViT(small_vit(), 3)
    model.compile(jit_compile=False)
    assert model.gated is True
    model.compile(jit_compile=False, gated=False)
    assert model.gated is False
