"""Self-distillation: the loss against NumPy, the centre, and what may not move."""

import keras
import numpy as np
import pytest
import tensorflow as tf
from scipy.special import log_softmax, softmax

from semivit_tf.layers.position_embedding import resize_position_grid
from semivit_tf.losses.self_distillation import entropy
from semivit_tf.methods.dino import DINO
from semivit_tf.methods.ema_teacher import EMATeacher
from semivit_tf.training.optimizers import layer_wise_adamw
from semivit_tf.training.schedules import Cosine, EpochRamp
from tests.methods.small import crop_batch, small_vit

HEAD = {"outputs": 12, "hidden_width": 8, "bottleneck_width": 6}


def small_dino(backbone=None, **options):
    """A model whose student and teacher differ, with outputs far from uniform."""
    keras.utils.set_random_seed(0)
    backbone = backbone or small_vit(pooling="class_token", patch_size=2, depth=1)
    model = DINO(backbone, **{**HEAD, **options})
    for seed, network in enumerate((model.student, model.teacher)):
        for number, layer in enumerate(network.head.dense):
            shape = layer.kernel.shape
            seeds = 10 * seed + number
            layer.kernel.assign(keras.random.normal(shape, stddev=0.5, seed=seeds))
    return model


def batches(count, **options):
    """The data set of several batches, all different."""
    given = [crop_batch(**options, seed=number) for number in range(count)]
    stacked = {name: np.stack([batch[name] for batch in given]) for name in given[0]}
    return tf.data.Dataset.from_tensor_slices(stacked)


class Losses(keras.callbacks.Callback):
    """Keeps the logs of each step by itself."""

    def __init__(self):
        super().__init__()
        self.steps = []

    def on_train_batch_begin(self, batch, logs=None):
        self.model.reset_metrics()

    def on_train_batch_end(self, batch, logs=None):
        self.steps.append({name: float(value) for name, value in logs.items()})


def fit(model, data, momentum=0.9, **options):
    """Trains for one pass; returns what was logged of each step."""
    losses = Losses()
    callbacks = [EMATeacher(momentum), losses]
    model.fit(data, verbose=0, shuffle=False, callbacks=callbacks, **options)
    return losses.steps


# === The loss ===


def numpy_answers(network, crops):
    """Returns outputs `[B, N, K]`, one crop after another."""
    return np.stack([network(crops[:, n]) for n in range(crops.shape[1])], axis=1)


@pytest.mark.parametrize("local", [0, 1, 8])
def test_terms_equal_numpy(local):
    model = small_dino(student_temperature=0.2, teacher_temperature=0.07)
    center = np.linspace(-0.3, 0.3, 12).astype("float32")
    model.center.assign(center)
    crops = crop_batch(local=local)
    answers = [numpy_answers(model.student, part) for part in crops.values()]
    student = log_softmax(np.concatenate(answers, axis=1) / 0.2, axis=-1)
    raw = numpy_answers(model.teacher, crops["global"])
    teacher = softmax((raw - center) / 0.07, axis=-1)
    losses = [
        -(teacher[:, g] * student[:, v]).sum(axis=-1).mean()
        for g in range(2)
        for v in range(2 + local)
        if g != v
    ]
    assert len(losses) == 2 * (2 + local) - 2
    terms, mean = model.distillation(crops)
    np.testing.assert_allclose(float(terms["loss"]), np.mean(losses), rtol=1e-4)
    np.testing.assert_allclose(mean, raw.mean(axis=(0, 1)), rtol=1e-4, atol=1e-6)
    average = teacher.mean(axis=(0, 1))
    np.testing.assert_allclose(terms["teacher_entropy"], average, rtol=1e-4, atol=1e-7)
    own = -(teacher * np.log(teacher)).sum(axis=-1).mean()
    np.testing.assert_allclose(
        float(terms["view_divergence"]), np.mean(losses) - own, rtol=1e-3
    )


def test_a_collapse_shows_in_what_is_logged():
    crops = crop_batch(images=6)
    alive = small_dino().distillation(crops)[0]
    assert float(alive["view_divergence"]) > 0.1
    assert 0.1 < float(entropy(alive["teacher_entropy"])) < np.log(12) - 0.1
    uniform, single = small_dino(), small_dino()
    for model in (uniform, single):
        for network in (model.student, model.teacher):
            for layer in network.head.dense:  # all images get one answer
                layer.kernel.assign(tf.zeros(layer.kernel.shape))
                layer.bias.assign(tf.ones(layer.bias.shape))
    uniform.student.head.last_layer.gain.assign(tf.zeros((1, 12)))
    uniform.teacher.head.last_layer.gain.assign(tf.zeros((1, 12)))
    for network in (single.student, single.teacher):
        network.head.last_layer.kernel.assign(tf.ones((6, 12)))
        network.head.last_layer.gain.assign(np.eye(1, 12) * 100)
    terms = uniform.distillation(crops)[0]
    np.testing.assert_allclose(float(terms["loss"]), np.log(12), rtol=1e-5)
    np.testing.assert_allclose(terms["teacher_entropy"], np.full(12, 1 / 12), rtol=1e-5)
    np.testing.assert_allclose(float(terms["view_divergence"]), 0, atol=1e-5)
    terms = single.distillation(crops)[0]
    np.testing.assert_allclose(entropy(terms["teacher_entropy"]), 0, atol=1e-5)
    np.testing.assert_allclose(float(terms["view_divergence"]), 0, atol=1e-5)


def test_no_gradient_reaches_the_teacher_and_every_weight_of_the_student_has_one():
    model = small_dino()
    with tf.GradientTape() as tape:
        for weight in model.teacher.weights:
            tape.watch(weight.value)
        loss, _ = model.objective(crop_batch())
    student = model.trainable_variables
    assert {id(v) for v in student} == {id(v) for v in model.student.trainable_weights}
    found = tape.gradient(loss, [*student, *(w.value for w in model.teacher.weights)])
    sizes = [np.abs(gradient).max() for gradient in found[: len(student)]]
    assert len(sizes) > 20 and min(sizes) > 0
    assert set(found[len(student) :]) == {None}


# === The networks ===


def test_each_resolution_is_one_pass_and_the_head_is_called_once(monkeypatch):
    model = small_dino()
    seen = []
    for name in ("student", "teacher"):
        network = getattr(model, name)
        for part in (network.backbone, network.head):

            def call(inputs, *rest, _call=part.call, _part=part, _name=name, **options):
                shapes = (_name, type(_part).__name__, tuple(inputs.shape))
                seen.append((*shapes, options.get("training")))
                return _call(inputs, *rest, **options)

            monkeypatch.setattr(part, "call", call)
    model.objective(crop_batch(images=5, local=3))
    assert seen == [
        ("student", "ViT", (10, 8, 8, 1), True),
        ("student", "ViT", (15, 4, 4, 1), True),
        ("student", "ProjectionHead", (5, 5, 16), True),
        ("teacher", "ViT", (10, 8, 8, 1), False),
        ("teacher", "ProjectionHead", (5, 2, 16), False),
    ]


def test_local_crops_get_resized_positions():
    sizes = {"pooling": "class_token", "patch_size": 2}
    backbone = small_vit(**sizes)
    model = small_dino(backbone)
    crops = crop_batch()["local"][:, 0]
    smaller = small_vit(**sizes, image_size=4)
    weights = backbone.get_weights()
    (place,) = [n for n, w in enumerate(backbone.weights) if "position" in w.path]
    table = weights[place]
    rows = resize_position_grid(tf.constant(table[1:]), (4, 4), (2, 2), 0.1)
    weights[place] = np.concatenate([table[:1], rows])
    smaller.set_weights(weights)
    np.testing.assert_allclose(
        model.student_backbone(crops), smaller(crops), rtol=1e-4, atol=1e-5
    )
    np.testing.assert_array_equal(
        resize_position_grid(tf.constant(table[1:]), (4, 4), (4, 4)), table[1:]
    )


def test_drop_path_is_the_students_alone():
    model = small_dino(small_vit(drop_path=0.5, depth=4))
    images = crop_batch(images=8)["global"]
    first, second = (model.student.project([images], training=True) for _ in range(2))
    assert np.abs(first - second).max() > 1e-3
    first, second = (model.distillation({"global": images}, True)[1] for _ in range(2))
    np.testing.assert_array_equal(first, second)


def test_teacher_starts_as_the_student_and_answers_for_the_model():
    model = DINO(small_vit(), **HEAD)
    assert len(model.student.weights) == len(model.teacher.weights) > 20
    for one, other in zip(model.student.weights, model.teacher.weights, strict=True):
        np.testing.assert_array_equal(one, other)
    model = small_dino()
    model.teacher_backbone.class_token.assign_add(np.arange(16.0)[None])
    images = crop_batch()["global"][:, 0]
    expected = model.teacher_backbone(images)
    assert np.abs(expected - model.student_backbone(images)).max() > 0.1
    np.testing.assert_array_equal(model(images), expected)
    np.testing.assert_array_equal(model(crop_batch()), expected)
    np.testing.assert_array_equal(
        model(images, training=True), model.student_backbone(images)
    )


def test_any_keras_model_is_a_backbone_of_global_crops():
    inputs = keras.Input((8, 8, 1))
    features = keras.layers.Dense(6, activation="relu")(keras.layers.Flatten()(inputs))
    model = DINO(keras.Model(inputs, features), **HEAD)
    model.compile(keras.optimizers.SGD(0.1))
    (logs,) = fit(model, batches(1, local=0))
    assert 0 < logs["loss"] < 10
    assert model(crop_batch()["global"][:, 0]).shape == (4, 6)


# === The centre ===


def test_centre_of_equal_batches_has_the_closed_form():
    model = small_dino(center_momentum=0.9)
    model.compile(keras.optimizers.SGD(0.0))
    crops = crop_batch()
    mean = numpy_answers(model.teacher, crops["global"]).mean(axis=(0, 1))
    assert np.abs(mean).max() > 0.1
    first = float(model.distillation(crops)[0]["loss"])
    data = tf.data.Dataset.from_tensors(crops)
    logs = fit(model, data.repeat(7), momentum=1.0)
    np.testing.assert_allclose(model.center, (1 - 0.9**7) * mean, rtol=1e-4)
    # The centre that a batch makes is used from the next one on.
    np.testing.assert_allclose(logs[0]["loss"], first, rtol=1e-5)
    model.center.assign(0.1 * mean)
    second = float(model.distillation(crops)[0]["loss"])
    np.testing.assert_allclose(logs[1]["loss"], second, rtol=1e-5)
    assert abs(second - first) > 1e-3


@pytest.mark.parametrize("jit_compile", [False, True])
def test_accumulated_halves_equal_the_whole_batch(jit_compile):
    """Weights, teacher and centre: all wait for the last half."""
    results = []
    for parts in (1, 2):
        model = small_dino()
        steps = parts if parts > 1 else None
        optimizer = keras.optimizers.SGD(0.05, gradient_accumulation_steps=steps)
        model.compile(optimizer, jit_compile=jit_compile)
        start = model.get_weights()
        data = batches(3, images=8).unbatch().batch(8 // parts)
        logs = fit(model, data)
        assert len(logs) == 3 * parts
        results.append([weight.numpy() for weight in model.weights])
    changed = [np.abs(a - b).max() for a, b in zip(start, results[1], strict=True)]
    assert sum(change > 1e-4 for change in changed) > 20
    for whole, halves in zip(*results, strict=True):
        np.testing.assert_allclose(halves, whole, rtol=1e-3, atol=1e-5)
    assert np.abs(model.center.numpy()).max() > 0.05
    np.testing.assert_array_equal(model.center_sum, np.zeros(12))


def trained(strategy, **options):
    with strategy.scope():
        model = small_dino(frozen_updates=2, **options)
        # The bias of the keys has no gradient; Adam with its usual epsilon would make
        # full steps of the rounding noise that is there instead.
        optimizer = layer_wise_adamw(
            model,
            1e-3,
            weight_decay=Cosine(0.04, 0.4, 5),
            undecayed=(),
            clipnorm=0.5,
            epsilon=1e-4,
        )
        model.compile(optimizer)
    return model, fit(model, batches(5, images=8), momentum=Cosine(0.9, 1.0, 5))


def test_two_replicas_equal_one_device(mirrored):
    one, losses = trained(tf.distribute.get_strategy())
    two, again = trained(mirrored)
    assert len(losses) == len(again) == 5
    for first, second in zip(losses, again, strict=True):
        for name in ("loss", "teacher_entropy", "view_divergence"):
            np.testing.assert_allclose(first[name], second[name], rtol=1e-4)
    np.testing.assert_allclose(two.center, one.center, rtol=1e-4, atol=1e-6)
    assert np.abs(one.center.numpy()).max() > 0.05
    start = small_dino().get_weights()
    changed = 0.0
    for a, b, c in zip(one.weights, two.weights, start, strict=True):
        np.testing.assert_allclose(a.numpy(), b.numpy(), atol=1e-5)
        changed = max(changed, np.abs(a.numpy() - c).max())
        copies = mirrored.experimental_local_results(b.value)
        np.testing.assert_array_equal(copies[0].numpy(), copies[1].numpy())
    assert changed > 1e-3


def test_the_centre_of_two_replicas_is_the_mean_over_both(mirrored):
    with mirrored.scope():
        model = small_dino()
        model.compile(keras.optimizers.SGD(0.0))
    crops = crop_batch(images=8)
    answers = numpy_answers(model.teacher, crops["global"])
    halves = [half.mean(axis=(0, 1)) for half in (answers[:4], answers[4:])]
    assert np.abs(halves[0] - halves[1]).max() > 0.001
    (logs,) = fit(model, tf.data.Dataset.from_tensors(crops), momentum=1.0)
    np.testing.assert_allclose(model.center, 0.1 * np.mean(halves, axis=0), rtol=1e-4)
    terms = [
        small_dino().distillation({n: c[part] for n, c in crops.items()})[0]
        for part in (slice(0, 4), slice(4, 8))
    ]
    for name in ("loss", "view_divergence"):
        expected = np.mean([float(part[name]) for part in terms])
        np.testing.assert_allclose(logs[name], expected, rtol=1e-4)
    halves = [part["teacher_entropy"] for part in terms]
    expected = entropy(np.mean(halves, axis=0))
    np.testing.assert_allclose(logs["teacher_entropy"], expected, rtol=1e-5)
    assert expected - np.mean([entropy(half) for half in halves]) > 5e-5


# === The last layer and the schedules ===


def test_gradients_of_the_frozen_last_layer_are_zero_and_no_others():
    model = small_dino(normalize_last_layer=False, frozen_updates=3)
    model.compile(keras.optimizers.SGD(0.1))
    variables = model.trainable_variables
    ones = [tf.ones(v.shape) for v in variables]
    for updates, expected in ((0, 0.0), (2, 0.0), (3, 1.0), (4, 1.0)):
        model.optimizer.iterations.assign(updates)
        changed = model.change_gradients(ones, variables)
        frozen = 0
        for variable, gradient in zip(variables, changed, strict=True):
            last = "last_layer" in variable.path
            frozen += last
            value = expected if last else 1.0
            np.testing.assert_array_equal(gradient, np.full(variable.shape, value))
        assert frozen == 2 and len(variables) > 20


def test_the_last_layer_waits_and_the_others_do_not():
    model = small_dino(frozen_updates=2)
    optimizer = layer_wise_adamw(model, 1e-2, weight_decay=0.1, clipnorm=3.0)
    model.compile(optimizer)
    head = model.student.head

    def directions():
        kernel = head.last_layer.kernel.numpy()
        return kernel / np.linalg.norm(kernel, axis=0)

    start, other = directions(), head.dense[0].kernel.numpy()
    fit(model, batches(2))
    np.testing.assert_allclose(directions(), start, atol=1e-6)
    assert np.abs(head.dense[0].kernel.numpy() - other).max() > 1e-3
    fit(model, batches(1))
    assert np.abs(directions() - start).max() > 1e-3


def test_teacher_temperature_follows_the_epochs():
    ramp = EpochRamp(0.04, 0.4, epochs=3, steps_per_epoch=2)
    model = small_dino(teacher_temperature=ramp, center_momentum=1.0)
    model.compile(keras.optimizers.SGD(0.0))
    crops = crop_batch()
    expected = []
    for temperature in (0.04, 0.04, 0.22, 0.22, 0.4, 0.4, 0.4):
        fixed = small_dino(teacher_temperature=temperature)
        expected.append(float(fixed.distillation(crops)[0]["loss"]))
    logs = fit(model, tf.data.Dataset.from_tensors(crops).repeat(7), momentum=1.0)
    found = [step["loss"] for step in logs]
    np.testing.assert_allclose(found, expected, rtol=1e-4)
    assert len({round(value, 3) for value in found}) == 3


def test_teacher_follows_by_the_momentum_of_each_update():
    model = small_dino()
    model.compile(keras.optimizers.SGD(0.5))
    students = []

    class Record(keras.callbacks.Callback):
        def on_train_batch_end(self, batch, logs=None):
            students.append(model.student.get_weights())

    expected = model.teacher.get_weights()
    schedule = EMATeacher(Cosine(0.6, 1.0, 4))
    model.fit(batches(4), verbose=0, shuffle=False, callbacks=[schedule, Record()])
    for step, student in enumerate(students):
        momentum = 1 - 0.4 * (1 + np.cos(np.pi * step / 4)) / 2
        expected = [
            momentum * old + (1 - momentum) * new
            for old, new in zip(expected, student, strict=True)
        ]
    for wanted, weight in zip(expected, model.teacher.weights, strict=True):
        np.testing.assert_allclose(weight.numpy(), wanted, rtol=1e-4, atol=1e-6)


def test_fit_adds_the_published_momentum():
    model = small_dino()
    model.compile(keras.optimizers.SGD(0.0))
    student, teacher = (
        network.head.dense[0].kernel.numpy()
        for network in (model.student, model.teacher)
    )
    model.fit(batches(2), shuffle=False, verbose=0)
    expected = 0.996**2 * teacher + (1 - 0.996**2) * student
    np.testing.assert_allclose(
        model.teacher.head.dense[0].kernel, expected, rtol=1e-5, atol=1e-6
    )


# === Training ===


@pytest.mark.parametrize("precision", ["float32", "mixed_bfloat16"])
def test_the_answers_of_a_teacher_that_stays_are_learnt_by_heart(precision):
    keras.config.set_dtype_policy(precision)
    try:
        model = small_dino(center_momentum=1.0, teacher_temperature=0.2)
        model.compile(keras.optimizers.AdamW(1e-2))
        data = tf.data.Dataset.from_tensors(crop_batch()).repeat(60)
        steps = fit(model, data, momentum=1.0)
    finally:
        keras.config.set_dtype_policy("float32")
    divergences = [step["view_divergence"] for step in steps]
    assert divergences[-1] < 0.3 * divergences[0]
    assert model.center.dtype == "float32"


def test_xla_trains_to_the_same_losses():
    plain, compiled = (small_dino(frozen_updates=1) for _ in range(2))
    for model, jit_compile in ((plain, False), (compiled, True)):
        model.compile(keras.optimizers.SGD(0.05), jit_compile=jit_compile)
    for one, other in zip(
        fit(plain, batches(4)), fit(compiled, batches(4)), strict=True
    ):
        for name in one:
            np.testing.assert_allclose(one[name], other[name], rtol=1e-3)


def test_evaluation_compares_crops_or_an_image_with_itself():
    model = small_dino()
    model.compile()
    crops = crop_batch()
    found = model.evaluate(
        tf.data.Dataset.from_tensors(crops), verbose=0, return_dict=True
    )
    expected = dict(model.distillation(crops)[0])
    expected["teacher_entropy"] = entropy(expected["teacher_entropy"])
    for name, value in expected.items():
        np.testing.assert_allclose(found[name], float(value), rtol=1e-5)
    images = crops["global"][:, 0]
    data = tf.data.Dataset.from_tensors((images, np.arange(4)))
    found = model.evaluate(data, verbose=0, return_dict=True)
    same = {"global": np.stack([images, images], axis=1)}
    expected = float(model.distillation(same)[0]["loss"])
    np.testing.assert_allclose(found["loss"], expected, rtol=1e-5)
    np.testing.assert_array_equal(model.center, np.zeros(12))


def test_evaluation_asks_frozen_weights_and_hides_no_broken_ones():
    model = small_dino()
    model.trainable = False
    model.compile()
    data = tf.data.Dataset.from_tensors(crop_batch())
    assert model.evaluate(data, verbose=0, return_dict=True)["loss"] > 0.1
    for network in (model.student, model.teacher):
        gain = network.head.last_layer.gain
        gain.assign(np.full(gain.shape, np.nan))
    found = model.evaluate(data, verbose=0, return_dict=True)
    assert len(found) == 3 and np.isnan(list(found.values())).all()


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"student_temperature": 0}, "`student_temperature` should be positive"),
        ({"teacher_temperature": -0.1}, "`teacher_temperature` should be positive"),
        ({"center_momentum": 1.5}, r"`center_momentum` should be in \[0, 1\]"),
    ],
)
def test_wrong_arguments_are_refused(options, message):
    with pytest.raises(ValueError, match=message):
        small_dino(**options)


def test_a_schedule_of_the_temperature_survives_the_configuration():
    model = small_dino(teacher_temperature=EpochRamp(0.04, 0.07, 30, 5))
    again = DINO.from_config(model.get_config())
    assert again.get_config() == model.get_config()
    assert float(again.teacher_temperature(15)) == float(model.teacher_temperature(15))


def test_pictures_show_where_each_head_of_the_teacher_looks():
    model = DINO(small_vit(pooling="class_token"), **HEAD)
    images = np.random.default_rng(0).uniform(0, 255, (3, 8, 8, 1)).astype("float32")
    drawn = np.asarray(model.pictures(images))
    assert drawn.shape == (3, 8, 3 * 8, 1)
    np.testing.assert_array_equal(drawn[:, :, :8], images)
    looks = np.asarray(model.teacher_backbone.class_attention(images))  # [3, 2, 4]
    for head in range(2):
        shown = drawn[:, ::4, 8 + 8 * head : 16 + 8 * head : 4, 0].reshape(3, 4)
        expected = 255 * looks[:, head] / looks[:, head].max(axis=1, keepdims=True)
        np.testing.assert_allclose(shown, expected, rtol=1e-5)
