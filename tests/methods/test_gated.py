"""Leaving out what does not count changes neither loss nor gradients."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from semivit_tf.losses.cross_entropy import soft_target_cross_entropy
from semivit_tf.methods.semi_vit import SemiViT
from tests.conformance import adapted_network
from tests.methods.small import semi_batch, sharpen, small_convnext, small_vit

UNLABELED = 40


class Given(SemiViT):
    """Semi-ViT that keeps the images it is told to, and does not mix them."""

    keeps = 0
    rows = None

    def unlabeled_loss(self, views):
        kept = np.zeros(UNLABELED, "float32")
        kept[np.random.default_rng(1).permutation(UNLABELED)[: self.keeps]] = 1.0

        def loss(images, labels):
            self.rows = images.shape[0]
            targets = tf.one_hot(labels, 3)
            return soft_target_cross_entropy(
                targets, self.student(images, training=True)
            )

        kept = tf.constant(kept)
        views = views["strong"], views["pseudo_label"]
        return self.of_kept(kept, loss, *views), kept


def gradients(backbone, keeps, gated, method=Given, threshold=0.4):
    keras.utils.set_random_seed(0)
    model = method(backbone(), 3, seed=0, threshold=threshold)
    model.keeps = keeps
    sharpen(model.student, 5.0)
    sharpen(model.teacher, 5.0)
    model.compile(keras.optimizers.SGD(), gated=gated, jit_compile=False)
    with tf.GradientTape() as tape:
        loss, terms = model.objective(semi_batch(4, UNLABELED))
    found = tape.gradient(loss, model.trainable_variables)
    return model, float(loss), terms, [np.asarray(gradient) for gradient in found]


def assert_same(ones, others):
    _, loss, _, expected = ones
    _, other, _, found = others
    assert loss == pytest.approx(other, rel=1e-5)
    scale = max(np.abs(gradient).max() for gradient in expected)
    assert scale > 1e-3
    for one, two in zip(expected, found, strict=True):
        np.testing.assert_allclose(two, one, atol=1e-5 * scale)


@pytest.mark.parametrize("keeps", [0, 1, 20, 40])
@pytest.mark.parametrize("backbone", [small_vit, small_convnext])
def test_loss_and_gradients_are_the_same_from_fewer_rows(backbone, keeps):
    gated = gradients(backbone, keeps, "auto")
    assert gated[0].gated and gated[0].rows == max(keeps, 1)
    whole = gradients(backbone, keeps, False)
    assert whole[0].rows == UNLABELED
    assert_same(whole, gated)


def test_mixed_images_are_left_out_alike():
    whole, gated = (gradients(small_vit, 0, g, SemiViT, 0.7) for g in (False, True))
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


def test_all_rows_are_used_where_they_have_to_be():
    model = SemiViT(adapted_network(), 3)
    model.compile(jit_compile=False)
    assert not model.gated
    with pytest.raises(ValueError, match="batch statistics"):
        model.compile(jit_compile=False, gated=True)
    model = SemiViT(small_vit(), 3)
    model.compile(jit_compile=True)
    assert not model.gated
    with pytest.raises(ValueError, match="XLA needs shapes"):
        model.compile(jit_compile=True, gated=True)
    model.compile(jit_compile=False, gated=False)
    assert not model.gated
