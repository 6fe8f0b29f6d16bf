"""Two replicas against one device, on the same global batch."""

import functools

import keras
import numpy as np
import pytest
import tensorflow as tf

from semivit_tf.methods.classifier import Classifier
from semivit_tf.methods.dino import DINO
from semivit_tf.methods.ema_teacher import EMATeacher
from semivit_tf.methods.fixmatch import FixMatch
from semivit_tf.methods.freematch import FreeMatch
from semivit_tf.methods.mae import MAE
from semivit_tf.methods.mixings.no_mixing import NoMixing
from semivit_tf.methods.semi_mae import SemiMAE
from semivit_tf.methods.semi_vit import SemiViT
from semivit_tf.training.optimizers import layer_wise_adamw
from tests.methods.small import (
    crop_batch,
    semi_batch,
    sharpen,
    small_network,
    small_vit,
)

STEPS = 5


class FixedMAE(MAE):
    """MAE that hides the same patches of every image."""

    def draw_order(self, images):
        count = tf.shape(images)[0]
        order = tf.constant([[2, 0, 3, 1]])
        return tf.tile(order, (count, 1)), tf.tile(tf.argsort(order), (count, 1))


def semi_vit():
    """Without mixing, whose draws depend on the replica's batch."""
    options = {"mixup_alpha": 0, "cutmix_alpha": 0, "mixing": NoMixing()}
    model = SemiViT(small_vit(), 3, threshold=0.5, **options)
    sharpen(model.student)  # or else rounding decides between equal classes
    sharpen(model.teacher)
    return model


def fixmatch():
    """Like FreeMatch on other layers than a ViT's, which cost more to trace."""
    model = FixMatch(small_network(), 3, threshold=0.5)
    sharpen(model.student)
    return model


def freematch():
    """Without fairness, which is no mean over images."""
    model = FreeMatch(small_network(), 3, threshold_momentum=0.9, fairness_weight=0)
    sharpen(model.student)
    return model


def classifier():
    return Classifier(small_vit(), 3)


def mae():
    decoder = {"decoder_width": 8, "decoder_depth": 1, "decoder_heads": 2}
    return FixedMAE(small_vit(), mask_ratio=0.5, **decoder)


def semi_mae():
    """With the masks of `FixedMAE`, and without mixing."""
    decoder = {"decoder_width": 8, "decoder_depth": 1, "decoder_heads": 2}
    options = {"mixup_alpha": 0, "cutmix_alpha": 0, "mixing": NoMixing()}
    model = SemiMAE(small_vit(), 3, mask_ratio=0.5, **options, **decoder)
    model.autoencoder.draw_order = lambda images, seed: FixedMAE.draw_order(
        None, images
    )
    sharpen(model.student)
    sharpen(model.teacher)
    return model


SEMI_SUPERVISED = (semi_vit, fixmatch, freematch)


def batches(build):
    given = [semi_batch(8, 24, seed=number) for number in range(STEPS)]
    if build is dino:
        given = [crop_batch(8, seed=number) for number in range(STEPS)]
    elif build not in (*SEMI_SUPERVISED, semi_mae):
        given = [(views["image"], labels) for views, labels in given]
    data = tf.data.Dataset.from_tensors(given[0])
    for batch in given[1:]:
        data = data.concatenate(tf.data.Dataset.from_tensors(batch))
    return data


def dino():
    head = {"outputs": 6, "hidden_width": 8, "bottleneck_width": 4}
    return DINO(small_vit(), frozen_updates=1, **head)


def train(build, strategy, batch_parts=1):
    keras.utils.set_random_seed(0)
    with strategy.scope():
        model = build()
        # The bias of the keys has no gradient; Adam with its usual epsilon would make
        # full steps of the rounding noise that is there instead.
        decay = 1.0 if build in (fixmatch, freematch) else 0.8  # of a ViT's layers
        optimizer = layer_wise_adamw(model, 1e-3, layer_decay=decay, epsilon=1e-4)
        model.compile(optimizer, batch_parts=batch_parts)
    losses = []

    class Record(keras.callbacks.Callback):
        def on_train_batch_begin(self, batch, logs=None):
            self.model.reset_metrics()

        def on_train_batch_end(self, batch, logs=None):
            # Not the logs: Keras takes the mean of those of the replicas, however many
            # images each has counted.
            means = self.model.get_metrics_result()
            losses.append({name: float(value) for name, value in means.items()})

    callbacks = [Record()]
    if hasattr(model, "teacher"):
        callbacks.append(EMATeacher(0.9))
    model.fit(batches(build), verbose=0, shuffle=False, callbacks=callbacks)
    return model, losses


def assert_same(build, one, losses, two, again):
    assert len(losses) == STEPS
    for first, second in zip(losses, again, strict=True):
        assert first.keys() == second.keys()
        for name in first:
            np.testing.assert_allclose(first[name], second[name], rtol=1e-6, atol=1e-6)
    start = build()
    changed = 0.0
    for a, b, c in zip(one.weights, two.weights, start.weights, strict=True):
        np.testing.assert_allclose(a.numpy(), b.numpy(), rtol=1e-6, atol=1e-6)
        changed = max(changed, np.abs(a.numpy() - c.numpy()).max())
    assert changed > 1e-3


@functools.cache
def train_alone(build):
    """Trains on one device, in one part."""
    return train(build, tf.distribute.get_strategy())


@pytest.mark.parametrize("build", [classifier, *SEMI_SUPERVISED, semi_mae, mae, dino])
def test_losses_and_weights_equal_one_device(build, mirrored):
    model, losses = train(build, mirrored)
    assert_same(build, *train_alone(build), model, losses)
    for weight in model.weights:  # of student and teacher, if there are two
        first, second = mirrored.experimental_local_results(weight.value)
        np.testing.assert_array_equal(first.numpy(), second.numpy())


@pytest.mark.parametrize("build", [classifier, *SEMI_SUPERVISED, mae, dino])
def test_batches_of_replicas_in_parts_make_the_same_update(build, mirrored):
    """The teacher, whose momentum is 0.9, would show if it moved twice.

    Parts on one device are tested in `test_method_conformance.py`.
    """
    parts = train(build, mirrored, batch_parts=2)
    assert parts[0].optimizer.iterations.numpy() == STEPS
    assert_same(build, *train_alone(build), *parts)


@pytest.mark.parametrize("build", [mae, dino])
def test_validation_leaves_out_a_replica_without_an_image(build, mirrored):
    """Of the last batch, of one image."""
    images = semi_batch(3)[0]["image"]
    found = []
    for strategy in (tf.distribute.get_strategy(), mirrored):
        keras.utils.set_random_seed(0)
        with strategy.scope():
            model = build()
            model.compile()
        data = tf.data.Dataset.from_tensor_slices(images).batch(2)
        found.append(model.evaluate(data, verbose=0, return_dict=True))
    assert found[0]["loss"] > 0.1
    assert found[1] == pytest.approx(found[0], rel=1e-5, abs=1e-6)


def test_parts_have_to_be_equal():
    model = classifier()
    model.compile(batch_parts=3)
    with pytest.raises(ValueError, match="should divide a replica's batch of 8"):
        model.fit(batches(classifier), verbose=0)
    with pytest.raises(ValueError, match="`batch_parts` should be at least 1"):
        model.compile(batch_parts=0)


def test_each_replica_hides_patches_of_its_own(mirrored):
    with mirrored.scope():
        model = MAE(small_vit(), mask_ratio=0.5, decoder_heads=2, decoder_width=8)
        model.compile()
    model.spread_random_states()
    images = tf.zeros((16, 8, 8, 1))

    @tf.function
    def draw():
        return mirrored.run(lambda: model.draw_order(images)[0])

    first, second = (np.asarray(x) for x in mirrored.experimental_local_results(draw()))
    assert (first != second).any()
    model.spread_random_states()  # the state of the first replica goes on
    third, _ = (np.asarray(x) for x in mirrored.experimental_local_results(draw()))
    assert (first != third).any()


def test_mixing_and_drop_path_run_and_validate_on_replicas(mirrored):
    with mirrored.scope():
        model = SemiViT(small_vit(drop_path=0.2), 3, threshold=0.0)
        model.compile(keras.optimizers.AdamW(1e-3))
    views, labels = semi_batch(8, 24)
    validation = tf.data.Dataset.from_tensor_slices((views["image"], labels)).batch(6)
    history = model.fit(
        batches(semi_vit), verbose=0, validation_data=validation
    ).history
    assert history["kept"] == [1.0]
    logits = np.asarray(model.teacher(views["image"]))
    expected = (logits.argmax(axis=1) == labels).mean()
    np.testing.assert_allclose(history["val_teacher_accuracy"], expected, rtol=1e-5)
    for weight in model.weights:
        first, second = mirrored.experimental_local_results(weight.value)
        np.testing.assert_array_equal(first.numpy(), second.numpy())
