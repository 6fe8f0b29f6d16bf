"""Layer-wise AdamW against AdamW written in NumPy."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from semivit_tf.backbones import create_backbone
from semivit_tf.methods.classifier import Classifier
from semivit_tf.methods.mae import MAE
from semivit_tf.methods.semi_vit import SemiViT
from semivit_tf.training.clipping import clip_global_norm, clip_norm
from semivit_tf.training.optimizers import (
    LayerWiseAdamW,
    find_layer_groups,
    layer_ids,
    layer_wise_adamw,
)
from semivit_tf.training.schedules import Cosine
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
    model = Classifier(small_vit(depth=2), 3)
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


@pytest.mark.parametrize("amsgrad", [False, True])
@pytest.mark.parametrize("sparse", [False, True])
def test_updates_equal_those_of_keras(amsgrad, sparse):
    generator = np.random.default_rng(0)
    start = generator.normal(size=(6, 4)).astype("float32")
    rows = generator.normal(size=(3, 2, 4)).astype("float32")
    options = {"weight_decay": 0.1, "beta_2": 0.95, "epsilon": 1e-8, "amsgrad": amsgrad}
    updated = []
    for make in (LayerWiseAdamW, keras.optimizers.AdamW):
        variable = keras.Variable(start)
        optimizer = make(1e-2, **options)
        for values in rows:
            gradient = tf.IndexedSlices(values, [1, 4], start.shape)
            if not sparse:
                gradient = tf.convert_to_tensor(gradient)
            optimizer.apply_gradients([(gradient, variable)])
        updated.append(variable.numpy())
    np.testing.assert_allclose(*updated, rtol=1e-5, atol=1e-6)
    assert np.abs(updated[0] - start).max() > 0.01


def test_only_the_student_is_optimized():
    model = SemiViT(small_vit(depth=2), 3)
    optimizer = layer_wise_adamw(model, 1e-3, layer_decay=0.5)
    assert len(optimizer.scales) == len(model.student.trainable_variables)
    assert min(optimizer.scales) == 0.125


def test_mae_decays_its_tokens():
    model = MAE(
        small_vit(position_embedding="sincos", depth=2),
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


def test_weight_decay_may_be_a_schedule():
    model = Classifier(small_vit(depth=2), 3)
    kernel = model.head.kernel
    optimizer = layer_wise_adamw(model, 0.5, weight_decay=Cosine(0.1, 0.4, 4))
    optimizer.build(model.trainable_variables)
    expected = kernel.numpy().astype("float64")
    nothing = [tf.zeros(v.shape) for v in model.trainable_variables]
    for decay in (0.1, 0.1 + 0.3 * (1 - np.sqrt(0.5)) / 2, 0.25):
        optimizer.apply_gradients(zip(nothing, model.trainable_variables, strict=True))
        expected *= 1 - 0.5 * decay
        np.testing.assert_allclose(kernel.numpy(), expected, rtol=1e-5)


def gradients_of_norms(variables, *norms):
    """Returns gradients that all point the same way, one list for each norm."""
    return [
        [
            tf.fill(v.shape, np.float32(norm / np.sqrt(np.prod(v.shape))))
            for v in variables
        ]
        for norm in norms
    ]


def test_each_gradient_is_clipped_to_its_own_norm():
    gradient = tf.constant([[3.0, 0.0], [0.0, 4.0]])
    np.testing.assert_allclose(clip_norm(gradient, 3.0), 0.6 * gradient, rtol=1e-6)
    np.testing.assert_array_equal(clip_norm(gradient, 5.1), gradient)
    np.testing.assert_array_equal(clip_norm(tf.zeros(3), 3.0), np.zeros(3))


def first_moments(optimizer, apply):
    """Returns the norms of the gradients that reached Adam, from its first moments."""
    apply()
    return [float(tf.norm(m.value)) / 0.1 for m in optimizer._momentums]


def test_accumulated_gradients_are_clipped_as_one():
    """Norms 2 and 10 make 6; clipped one by one to 3 they would make 2.5."""
    model = Classifier(small_vit(depth=2), 3)
    options = {"clipnorm": 3.0, "gradient_accumulation_steps": 2}
    optimizer = layer_wise_adamw(model, 1e-3, **options)
    variables = model.trainable_variables

    def apply():
        for given in gradients_of_norms(variables, 2.0, 10.0):
            optimizer.apply_gradients(zip(given, variables, strict=True))

    np.testing.assert_allclose(first_moments(optimizer, apply), 3.0, rtol=1e-4)
    optimizer.clipnorm = 7.0
    np.testing.assert_allclose(first_moments(optimizer, apply), 0.9 * 3 + 6, rtol=1e-4)


@pytest.mark.parametrize("name", ["clipnorm", "global_clipnorm"])
def test_the_sum_over_replicas_is_clipped(name, mirrored):
    with mirrored.scope():
        model = Classifier(small_vit(depth=2), 3)
        optimizer = layer_wise_adamw(model, 1e-3, **{name: 3.0})
        variables = model.trainable_variables
        optimizer.build(variables)
    first, second = gradients_of_norms(variables, 1.0, -5.0)

    @tf.function
    def step():
        number = tf.distribute.get_replica_context().replica_id_in_sync_group
        given = [
            tf.where(number == 0, a, b) for a, b in zip(first, second, strict=True)
        ]
        optimizer.apply_gradients(zip(given, variables, strict=True))

    norms = first_moments(optimizer, lambda: mirrored.run(step))
    together = len(variables) if name == "global_clipnorm" else 1
    # Of 4; alone, 1 and 3 make 2.
    np.testing.assert_allclose(norms, 3.0 / together**0.5, rtol=1e-4)


def test_all_gradients_are_shrunk_alike_or_cut():
    gradients = [tf.constant([3.0, 0.0]), tf.constant([[4.0]])]
    for given, factor in ((10.0, 1.0), (1.0, 0.2)):
        found = clip_global_norm(gradients, given)
        for one, other in zip(found, gradients, strict=True):
            np.testing.assert_allclose(one, factor * other, rtol=1e-5)
    variable = keras.Variable([1.0, 1.0, 1.0])
    optimizer = LayerWiseAdamW(1e-3, clipvalue=0.5)
    optimizer.apply([tf.constant([2.0, -3.0, 0.25])], [variable])
    moment = optimizer._momentums[0].numpy() / 0.1
    np.testing.assert_allclose(moment, [0.5, -0.5, 0.25], rtol=1e-5)


def test_a_schedule_of_weight_decay_survives_the_configuration():
    model = Classifier(small_vit(depth=2), 3)
    for decay in (0.05, Cosine(0.04, 0.4, 10)):
        optimizer = layer_wise_adamw(model, 1e-3, weight_decay=decay, clipnorm=3.0)
        again = keras.saving.deserialize_keras_object(
            keras.saving.serialize_keras_object(optimizer)
        )
        assert again.clipnorm == 3.0
        if decay == 0.05:
            assert again.weight_decay == 0.05
        else:
            assert again.weight_decay.get_config() == decay.get_config()


def test_configuration_round_trip():
    optimizer = layer_wise_adamw(
        Classifier(small_vit(depth=2), 3), 1e-3, layer_decay=0.5
    )
    again = keras.saving.deserialize_keras_object(
        keras.saving.serialize_keras_object(optimizer)
    )
    assert (again.scales, again.decayed) == (optimizer.scales, optimizer.decayed)


def test_wrong_decay_is_refused():
    with pytest.raises(ValueError, match=r"`layer_decay` should be in \(0, 1\]"):
        layer_wise_adamw(Classifier(small_vit(depth=2), 3), 1e-3, layer_decay=0.0)
    inputs = keras.Input((8, 8, 1))
    plain = Classifier(keras.Model(inputs, keras.layers.Flatten()(inputs)), 3)
    with pytest.raises(ValueError, match="without `layer_groups"):
        layer_wise_adamw(plain, 1e-3, layer_decay=0.5)
    assert set(layer_wise_adamw(plain, 1e-3).scales) == {1.0}


def test_a_late_variable_is_left_alone_and_then_as_new():
    """PyTorch's Adam leaves out what has no gradient, and counts its steps alone."""
    generator = np.random.default_rng(0)
    start = generator.normal(size=(3, 2))
    variable = keras.Variable(start, dtype="float32")
    options = {"scales": [0.5], "decayed": [True], "starts": [3]}
    optimizer = LayerWiseAdamW(1e-2, weight_decay=0.1, **options)
    gradients = generator.normal(size=(8, 3, 2))
    for number, gradient in enumerate(gradients):
        optimizer.apply([gradient.astype("float32")], [variable])
        if number < 3:
            np.testing.assert_array_equal(variable, start.astype("float32"))
    wanted = numpy_adamw(start, gradients[3:], 1e-2, 0.5, 0.1, 0.9, 0.999, 1e-7)
    np.testing.assert_allclose(variable, wanted, rtol=1e-5)


def test_schedules_count_updates_and_not_the_batches_of_one():
    variable = keras.Variable([[1.0]])
    seen = []

    class Seen(keras.optimizers.schedules.LearningRateSchedule):
        def __call__(self, step):
            seen.append(int(step))
            return 0.1

    optimizer = LayerWiseAdamW(Seen(), gradient_accumulation_steps=3)
    for _ in range(9):
        optimizer.apply([tf.constant([[1.0]])], [variable])
    assert int(optimizer.iterations) == 3
    assert sorted(set(seen)) == [0, 1, 2]
