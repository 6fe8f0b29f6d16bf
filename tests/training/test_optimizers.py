"""Layer-wise AdamW against AdamW written in NumPy."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from semivit_tf.backbones import create_backbone
from semivit_tf.methods.classifier import Classifier
from semivit_tf.methods.mae import MAE
from semivit_tf.methods.semi_vit import SemiViT
from semivit_tf.training.optimizers import (
    find_layer_groups,
    layer_ids,
    layer_wise_adamw,
)
from tests.methods.small import small_vit


def numpy_adamw(value, gradients, rate, scale, decay, beta_1, beta_2, epsilon):
    """Decoupled AdamW, as PyTorch writes it."""
    first = second = np.zeros_like(value)
    for step, gradient in enumerate(gradients, start=1):
        value = value * (1 - rate * scale * decay)
        first = beta_1 * first + (1 - beta_1) * gradient
        second = beta_2 * second + (1 - beta_2) * gradient**2
        root = np.sqrt(second / (1 - beta_2**step)) + epsilon
        value = value - rate * scale * (first / (1 - beta_1**step)) / root
    return value


def test_layer_numbers_of_vit_base():
    model = Classifier(create_backbone("vit_base_patch16", image_size=32), 5)
    variables = model.trainable_variables
    numbers = layer_ids(variables, find_layer_groups(model))
    by_path = {v.path: number for v, number in zip(variables, numbers, strict=True)}
    assert by_path["vit/patch_embedding/kernel"] == 0
    assert by_path["vit/class_token"] == 0
    assert by_path["vit/positions/position_table"] == 0
    assert by_path["vit/block0/attention/qkv/kernel"] == 1
    assert by_path["vit/block11/mlp/contract/bias"] == 12
    assert by_path["vit/norm/gamma"] == 13
    assert by_path["classifier/head/kernel"] == 13
    optimizer = layer_wise_adamw(model, 1e-3, layer_decay=0.65)
    np.testing.assert_allclose(min(optimizer.scales), 0.65**13)
    assert min(optimizer.scales) == pytest.approx(0.0037, abs=5e-5)
    assert max(optimizer.scales) == 1.0


@pytest.mark.parametrize("jit_compile", [False, True])
def test_updates_equal_numpy(jit_compile):
    model = Classifier(small_vit(), 3)
    optimizer = layer_wise_adamw(model, 1e-2, layer_decay=0.5, weight_decay=0.1)
    variables = model.trainable_variables
    optimizer.build(variables)
    before = [v.numpy().astype("float64") for v in variables]
    generator = np.random.default_rng(0)
    gradients = [
        [generator.normal(size=v.shape).astype("float32") for v in variables]
        for _ in range(3)
    ]

    @tf.function(jit_compile=jit_compile)
    def update(given):
        optimizer.apply_gradients(zip(given, variables, strict=True))

    for given in gradients:
        update([tf.constant(g) for g in given])
    undecayed = 0
    for number, variable in enumerate(variables):
        decays = len(variable.shape) > 1 and variable.name not in (
            "class_token",
            "position_table",
        )
        undecayed += not decays
        expected = numpy_adamw(
            before[number],
            [g[number].astype("float64") for g in gradients],
            rate=1e-2,
            scale=optimizer.scales[number],
            decay=0.1 * decays,
            beta_1=0.9,
            beta_2=0.999,
            epsilon=1e-8,
        )
        np.testing.assert_allclose(variable.numpy(), expected, rtol=2e-4, atol=1e-5)
    assert 0 < undecayed < len(variables)
    assert len(set(optimizer.scales)) == 4  # embedding, two blocks, head


def test_only_the_student_is_optimized():
    model = SemiViT(small_vit(), 3)
    optimizer = layer_wise_adamw(model, 1e-3, layer_decay=0.5)
    assert len(optimizer.scales) == len(model.student.trainable_variables)
    assert min(optimizer.scales) == 0.125


def test_mae_decays_its_tokens():
    model = MAE(
        small_vit(position_embedding="sincos"),
        mask_ratio=0.5,
        decoder_width=8,
        decoder_depth=1,
        decoder_heads=2,
    )
    optimizer = layer_wise_adamw(model, 1e-3, undecayed=())
    decayed = {
        v.path
        for v, decays in zip(model.trainable_variables, optimizer.decayed, strict=True)
        if decays
    }
    assert {"vit/class_token", "decoder/mask_token"} <= decayed
    assert not any(path.endswith(("bias", "gamma", "beta")) for path in decayed)


def test_configuration_round_trip():
    optimizer = layer_wise_adamw(Classifier(small_vit(), 3), 1e-3, layer_decay=0.5)
    again = keras.saving.deserialize_keras_object(
        keras.saving.serialize_keras_object(optimizer)
    )
    assert (again.scales, again.decayed) == (optimizer.scales, optimizer.decayed)


def test_wrong_decay_is_refused():
    with pytest.raises(ValueError, match=r"`layer_decay` should be in \(0, 1\]"):
        layer_wise_adamw(Classifier(small_vit(), 3), 1e-3, layer_decay=0.0)
    inputs = keras.Input((8, 8, 1))
    plain = Classifier(keras.Model(inputs, keras.layers.Flatten()(inputs)), 3)
    with pytest.raises(ValueError, match="without `layer_groups"):
        layer_wise_adamw(plain, 1e-3, layer_decay=0.5)
    assert set(layer_wise_adamw(plain, 1e-3).scales) == {1.0}
