"""Semi-MAE: Semi-ViT's loss and MAE's, on one encoder; the teacher has no decoder."""

import keras
import numpy as np
import pytest
import tensorflow as tf
from scipy.special import log_softmax, softmax

from semivit_tf.export.saved_model import export_saved_model
from semivit_tf.methods.classifier import Classifier
from semivit_tf.methods.ema_teacher import EMATeacher
from semivit_tf.methods.fixmatch import FixMatch
from semivit_tf.methods.mae import MAE
from semivit_tf.methods.selections.fixed_threshold import FixedThreshold
from semivit_tf.methods.semi_mae import SemiMAE
from semivit_tf.methods.semi_vit import SemiViT
from tests.methods.small import (
    loss_and_terms,
    semi_batch,
    sharpen,
    small_convnext,
    small_vit,
)

DECODER = {"decoder_width": 8, "decoder_depth": 1, "decoder_heads": 2}
# The parts of FixMatch.
FIXMATCH = {
    "labeler": "student_in_training",
    "selection": FixedThreshold(0.5),
    "mixing": "none",
    "unlabeled_weight": 1.0,
    "label_smoothing": 0.0,
}
PLAIN = {"mixup_alpha": 0.0, "cutmix_alpha": 0.0}


def build(**options):
    """Images of 16 patches, of which 4 are seen."""
    keras.utils.set_random_seed(0)
    return SemiMAE(small_vit(patch_size=2), 3, **{**PLAIN, **DECODER, **options})


def numpy_targets(images):
    """The pixels of 16 patches of 2x2, each with mean 0 and unbiased variance 1."""
    pixels = (images.astype("float64") / 255 - 0.5) / 0.5
    patches = pixels.reshape(-1, 4, 2, 4, 2).transpose(0, 1, 3, 2, 4).reshape(-1, 16, 4)
    deviation = np.sqrt(patches.var(-1, ddof=1, keepdims=True) + 1e-6)
    return (patches - patches.mean(-1, keepdims=True)) / deviation


def cross_entropy(labels, logits):
    return -log_softmax(np.asarray(logits), axis=1)[np.arange(len(labels)), labels]


def numpy_losses(model, batch, prepared):
    """The three losses of FixMatch's parts, from what the networks answer."""
    views, labels = batch
    student, autoencoder = model.student, model.autoencoder
    taught = softmax(np.asarray(student(views["weak"])), axis=1)
    kept = taught.max(axis=1) >= 0.5
    learned = cross_entropy(taught.argmax(axis=1), student(views["strong"]))
    shuffle, restore = (np.asarray(prepared[n]) for n in ("shuffle", "restore"))
    rebuilt = np.asarray(autoencoder(views["weak"], shuffle, restore))
    errors = ((rebuilt - numpy_targets(views["weak"])) ** 2).mean(-1)
    hidden = np.ones_like(shuffle, bool)
    np.put_along_axis(hidden, shuffle[:, :4], False, axis=1)
    assert hidden.sum(axis=1).tolist() == [12] * len(hidden)
    return {
        "labeled_loss": cross_entropy(labels, student(views["image"])).mean(),
        "unlabeled_loss": (kept * learned).mean(),
        "reconstruction_loss": errors[hidden].mean(),
        "kept": kept.mean(),
    }


def test_losses_of_several_steps_equal_numpy():
    model = build(**FIXMATCH, reconstruction_weight=0.5)
    sharpen(model.student, 8.0)
    model.compile(keras.optimizers.SGD(0.05), jit_compile=False, gated=True)
    model.optimizer.build(model.trainable_variables)
    kept, masks = [], []
    for number in range(5):
        batch = semi_batch(8, 24, seed=number)
        prepared = model.prepare(batch)
        expected = numpy_losses(model, batch, prepared)
        loss, terms = model.objective(prepared)
        for name, value in expected.items():
            np.testing.assert_allclose(terms[name][0], value, rtol=1e-4, atol=1e-6)
        total = expected["labeled_loss"] + expected["unlabeled_loss"]
        total += 0.5 * expected["reconstruction_loss"]
        np.testing.assert_allclose(loss, total, rtol=1e-4)
        gradients, _ = model.gradients_of(prepared, model.trainable_variables)
        pairs = zip(gradients, model.trainable_variables, strict=True)
        model.optimizer.apply_gradients(pairs)
        kept.append(expected["kept"])
        masks.append(np.asarray(prepared["shuffle"]))
    assert 0 < min(kept) < 1
    assert len({mask.tobytes() for mask in masks}) == 5
    assert (masks[0][0] != masks[0][1]).any()  # each image has a mask of its own


def test_reconstruction_is_that_of_mae_on_the_same_weights():
    model = build(reconstruction_weight=2.0)
    mae = MAE(small_vit(patch_size=2), **DECODER)
    mae.backbone.set_weights(model.student.backbone.get_weights())
    mae.backbone.norm.set_weights(model.autoencoder.norm.get_weights())
    mae.decoder.set_weights(model.autoencoder.decoder.get_weights())
    batch = semi_batch()
    prepared = model.prepare(batch)
    loss, terms = model.objective(prepared)
    order = {name: prepared[name] for name in ("shuffle", "restore")}
    expected, _ = mae.objective({"image": batch[0]["weak"], **order})
    np.testing.assert_allclose(terms["reconstruction_loss"][0], expected, rtol=1e-6)
    parts = terms["labeled_loss"][0] + 5.0 * terms["unlabeled_loss"][0]
    np.testing.assert_allclose(loss, parts + 2.0 * expected, rtol=1e-6)


def test_gradients_of_reconstruction_reach_encoder_and_decoder_alone():
    model = build()
    prepared = model.prepare(semi_batch())
    with tf.GradientTape() as tape:
        _, loss = model.further_losses(prepared, None)["reconstruction_loss"]
    groups = {
        "encoder": model.student.backbone.blocks[0].trainable_variables,
        "patches": model.student.backbone.patch_embedding.trainable_variables,
        "decoder": model.autoencoder.decoder.trainable_variables,
        "own norm": model.autoencoder.norm.trainable_variables,
        "last norm": model.student.backbone.norm.trainable_variables,
        "head": model.student.head.trainable_variables,
    }
    gradients = tape.gradient(loss, groups)
    for name in ("encoder", "patches", "decoder", "own norm"):
        assert len(gradients[name]) >= 2
        assert max(float(tf.norm(one)) for one in gradients[name]) > 1e-4, name
    for name in ("last norm", "head"):
        assert gradients[name] == [None, None]
    trained = {id(variable) for variable in model.trainable_variables}
    assert trained >= {id(v) for name in groups for v in groups[name]}
    assert not {id(v) for v in model.teacher.weights} & trained


def test_the_teacher_averages_encoder_and_head_and_has_no_decoder():
    model = build()
    start = model.student.get_weights()
    model.compile(keras.optimizers.SGD(0.1), jit_compile=False)
    data = tf.data.Dataset.from_tensors(semi_batch())
    students = []
    record = keras.callbacks.LambdaCallback(
        on_train_batch_end=lambda batch, logs: students.append(
            model.student.get_weights()
        )
    )
    callbacks = [EMATeacher(0.9), record]
    model.fit(data.repeat(3), verbose=0, callbacks=callbacks)
    assert len(students) == 3
    for number, weight in enumerate(model.teacher.get_weights()):
        average = start[number]
        for student in students:
            average = 0.9 * average + 0.1 * student[number]
        np.testing.assert_allclose(weight, average, rtol=1e-5, atol=1e-7)
    paths = [weight.path for weight in model.teacher.weights]
    assert paths and not any("decoder" in path for path in paths)


def test_without_weight_it_is_the_method_without_reconstruction():
    found = []
    for method, options in (
        (SemiViT, {}),
        (SemiMAE, {"reconstruction_weight": 0.0}),
        (SemiMAE, {**DECODER, "mask_ratio": 0.5}),
    ):
        keras.utils.set_random_seed(0)
        model = method(small_vit(drop_path=0.1), 3, threshold=0.3, **options)
        sharpen(model.student)
        model.compile(keras.optimizers.SGD(0.1), jit_compile=False)
        batches = tf.data.Dataset.from_tensors(semi_batch()).repeat(2)
        logs = model.fit(batches, verbose=0, callbacks=[EMATeacher(0.5)]).history
        found.append((model.get_weights(), logs))
    plain, without, with_it = found
    assert plain[1].keys() == without[1].keys()
    for name, value in plain[1].items():  # a mean may be summed in another order
        np.testing.assert_allclose(value, without[1][name], rtol=3e-7, err_msg=name)
    assert "reconstruction_loss" in with_it[1]
    assert len(plain[0]) == len(without[0]) < len(with_it[0])
    for one, other in zip(plain[0], without[0], strict=True):
        np.testing.assert_array_equal(one, other)
    assert plain[1]["loss"] != with_it[1]["loss"]


def test_with_fixmatchs_parts_it_labels_and_learns_as_fixmatch():
    losses = []
    for method, options in (
        (FixMatch, {"threshold": 0.5}),
        (SemiMAE, {**FIXMATCH, **PLAIN, **DECODER, "mask_ratio": 0.5}),
    ):
        keras.utils.set_random_seed(0)
        model = method(small_vit(), 3, **options)
        sharpen(model.student, 8.0)
        _, terms = loss_and_terms(model, semi_batch())
        losses.append([float(terms[n][0]) for n in ("labeled_loss", "unlabeled_loss")])
    assert losses[0] == losses[1] and losses[0][1] > 0


def test_a_fine_tuned_classifier_becomes_the_student():
    classifier = Classifier(small_vit(patch_size=2), 3)
    model = SemiMAE(classifier, **DECODER)
    assert model.student is classifier
    assert model.autoencoder.backbone is classifier.backbone
    loss, _ = loss_and_terms(model, semi_batch())
    assert np.isfinite(float(loss))


def test_gating_leaves_out_strong_views_but_rebuilds_all_weak_ones():
    found = []
    for gated in (True, False):
        model = build(**FIXMATCH)
        sharpen(model.student, 8.0)
        model.compile(keras.optimizers.SGD(0.1), jit_compile=False, gated=gated)
        model.optimizer.build(model.trainable_variables)
        prepared = model.prepare(semi_batch())
        assert 0 < float(np.mean(prepared["weight"])) < 1
        found.append(model.gradients_of(prepared, model.trainable_variables))
    terms = [gradients[1]["reconstruction_loss"][0] for gradients in found]
    np.testing.assert_allclose(*terms, rtol=1e-6)
    for one, other in zip(found[0][0], found[1][0], strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-4, atol=1e-6)


def test_an_export_has_neither_decoder_nor_student(tmp_path):
    model = build()
    path = export_saved_model(model, tmp_path)
    stored = tf.train.list_variables(str(path / "variables" / "variables"))
    sizes = [int(np.prod(shape)) for name, shape in stored if "VALUE" in name]
    expected = [int(np.prod(v.shape)) for v in model.teacher.variables]
    assert sum(sizes) == sum(expected)
    # Nothing else has the 8 channels of the decoder.
    assert {v.shape[-1] for v in model.autoencoder.decoder.weights} >= {8}
    assert not any(8 in shape for _, shape in stored)


@pytest.mark.parametrize(
    ("backbone", "options", "message"),
    [
        (small_convnext, {}, "`backbone` should be a ViT, .* Received: ConvNeXt"),
        (small_vit, {"mask_ratio": 0.0}, "`mask_ratio` should hide some of 4 patches"),
        (small_vit, {"mask_ratio": 1.0}, "leave a visible patch"),
    ],
)
def test_what_cannot_be_masked_is_refused(backbone, options, message):
    with pytest.raises(ValueError, match=message):
        SemiMAE(backbone(), 3, **DECODER, **options)
