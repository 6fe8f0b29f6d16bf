"""Semiformer: who teaches, what is lost, and where gradients go."""

import keras
import numpy as np
import pytest
import tensorflow as tf
from scipy.special import log_softmax, softmax

from semivit_tf.methods.batch_statistics import batch_statistics
from semivit_tf.methods.moving_teacher import twin
from semivit_tf.methods.semi_supervised import SemiSupervised
from semivit_tf.methods.semiformer import Semiformer
from tests.methods.small import semi_batch, small_semiformer, small_vit

BATCH = semi_batch(4, 12)
WEAK = BATCH[0]["weak"]


def sharpened(**options):
    """A method whose heads answer differently, and surely now and then."""
    model = Semiformer(small_semiformer(), 3, **options)
    for number, head in enumerate(model.student.head.heads):
        shape, width = head.kernel.shape, head.kernel.shape[0]
        kernel = keras.random.normal(shape, stddev=8 * width**-0.5, seed=number)
        head.kernel.assign(kernel)
    model.student.head.heads[1].bias.assign([0.0, 3.0, 0.0])
    return model


def gradients(model, prepared, of="loss"):
    """Returns gradients by the variables' paths; zeros where there are none."""
    variables = model.student.trainable_variables
    with tf.GradientTape() as tape:
        loss, terms = model.objective(prepared)
        value = loss if of == "loss" else terms[of][0]
    found = tape.gradient(value, variables, unconnected_gradients="zero")
    paths = [variable.path.split("/", 1)[1] for variable in variables]
    return dict(zip(paths, (np.asarray(g) for g in found), strict=True))


def assert_equal(one, other):
    assert one.keys() == other.keys() and len(one) > 40
    for path, gradient in one.items():
        np.testing.assert_allclose(other[path], gradient, atol=1e-6, err_msg=path)
    assert max(np.abs(gradient).max() for gradient in one.values()) > 1e-2


@pytest.fixture(scope="module")
def model():
    return sharpened(threshold=0.5)


def test_published_settings_are_the_defaults():
    model = Semiformer(small_semiformer(), 3)
    assert (model.selection.threshold, model.unlabeled_weight) == (0.7, 4.0)
    assert model.student.label_smoothing == 0.1 and model.unlabeled_smoothing == 0.0
    assert (model.labeler, model.answers) == ("convolutional", "student")
    assert (model.labeled_view, model.mixing.get_config()) == ("labeled", {})
    assert model.default_teacher().momentum == 0.99996


def test_each_labeler_makes_the_probabilities_of_its_formula(model):
    """Of the student in inference mode; the sum's labels are others."""
    first, second = np.moveaxis(model.student.scores(WEAK).numpy(), 1, 0)
    expected = {
        "convolutional": softmax(first, axis=1),
        "transformer": softmax(second, axis=1),
        "student": softmax((first + second) / 2, axis=1),
        "mean_probability": (softmax(first, 1) + softmax(second, 1)) / 2,
    }
    for labeler, probabilities in expected.items():
        other = sharpened(labeler=labeler)
        other.student.set_weights(model.student.get_weights())
        np.testing.assert_allclose(other.label(WEAK), probabilities, atol=1e-5)
    labels = [p.argmax(1).tolist() for p in expected.values()]
    assert labels[0] != labels[1] and labels[0] != labels[2]
    targets = np.asarray(model.prepare(BATCH)["pseudo_target"])
    np.testing.assert_array_equal(targets, np.eye(3)[labels[0]])


def test_the_loss_is_that_of_the_formula(model):
    confidence = softmax(model.student.scores(WEAK).numpy()[:, 0], axis=1)
    model.selection.threshold = threshold = float(np.median(confidence.max(1)))
    prepared = model.prepare(BATCH)
    labeled, scores = (s.numpy() for s in model.training_scores(prepared))
    loss, terms = model.objective(prepared)
    logs = log_softmax(labeled, axis=-1)
    hard = np.take_along_axis(logs, BATCH[1][:, None, None], axis=2)[..., 0]
    supervised = -(0.9 * hard + 0.1 * logs.mean(-1)).mean()
    kept = confidence.max(1) >= threshold
    logs = log_softmax(scores, axis=-1)
    labels = confidence.argmax(1)
    losses = -np.take_along_axis(logs, labels[:, None, None], axis=2)[..., 0]
    unlabeled = (kept[:, None] * losses).mean(0).sum() / 2
    model.selection.threshold = 0.5
    assert kept.mean() == 0.5
    np.testing.assert_allclose(terms["labeled_loss"][0], supervised, rtol=1e-4)
    np.testing.assert_allclose(terms["unlabeled_loss"][0], unlabeled, rtol=1e-4)
    np.testing.assert_allclose(loss, supervised + 4 * unlabeled, rtol=1e-4)


def test_pseudo_labels_may_be_smoothed():
    model = sharpened(unlabeled_smoothing=0.3)
    targets = model.targets(np.array([[0.1, 0.8, 0.1]], "float32"))
    np.testing.assert_allclose(targets, [[0.1, 0.8, 0.1]], rtol=1e-6)


def test_no_gradient_flows_into_the_pseudo_labels(model):
    """They may as well be those of a frozen copy."""
    frozen = twin(model.student, "frozen")
    prepared = model.prepare(BATCH)
    expected = gradients(model, prepared)
    labels = frozen.scores(WEAK)[:, 0].numpy().argmax(1)
    given = {**prepared, "pseudo_target": tf.one_hot(labels, 3)}
    assert_equal(expected, gradients(model, given))
    with tf.GradientTape() as tape:
        model.student.set_weights(frozen.get_weights())
        loss, _ = model.objective(model.prepare(BATCH))
    found = tape.gradient(loss, model.student.trainable_variables)
    found = [np.asarray(gradient) for gradient in found]
    assert_equal(expected, dict(zip(expected, found, strict=True)))


def test_thresholds_out_of_range_keep_nothing_or_all(model):
    selection = model.selection
    selection.threshold = 1.1
    prepared = model.prepare(BATCH)
    _, terms = model.objective(prepared)
    assert float(terms["unlabeled_loss"][0]) == float(terms["kept"][0]) == 0.0
    assert_equal(gradients(model, prepared, "labeled_loss"), gradients(model, prepared))
    selection.threshold = 0.0
    assert float(model.objective(model.prepare(BATCH))[1]["kept"][0]) == 1.0
    selection.threshold = 0.5


def test_images_that_do_not_count_are_part_of_the_mean():
    model = sharpened(threshold=0.9)
    sure, unsure = [0.95, 0.03, 0.02], [0.5, 0.3, 0.2]
    losses = []
    for copies in (1, 2):
        model.label = lambda images, copies=copies: tf.constant(
            [sure] * 4 + [unsure] * 4 * copies
        )
        count = 4 + 4 * copies
        scores = tf.tile(tf.constant([[[1.0, 0, 0], [0, 1.0, 0]]]), (count, 1, 1))
        model.training_scores = lambda prepared, scores=scores: (scores[:4], scores)
        _, terms = model.objective(model.prepare(semi_batch(4, count)))
        losses.append(float(terms["unlabeled_loss"][0]))
    expected = (np.log(np.e + 2) - 0.5) / 2
    np.testing.assert_allclose(losses, [expected, expected * 8 / 12], rtol=1e-5)


def test_weak_views_leave_batch_statistics_and_the_others_move_them(model):
    def statistics():
        return [weight.numpy() for weight in batch_statistics(model.student)]

    before = statistics()
    prepared = model.prepare(BATCH)
    for one, other in zip(before, statistics(), strict=True):
        np.testing.assert_array_equal(one, other)
    model.objective(prepared)
    moved = [
        (one != other).any() for one, other in zip(before, statistics(), strict=True)
    ]
    assert all(moved) and len(moved) > 20


def test_a_convolutional_head_that_learns_from_labels_only():
    """Its stream still learns through the tokens that it informs."""
    model = sharpened(threshold=0.0, convolutional_weight=0.0)
    prepared = model.prepare(BATCH)
    found = gradients(model, prepared, "unlabeled_loss")
    head = "head/convolutional/kernel"
    np.testing.assert_allclose(found[head], 0, atol=1e-7)
    assert np.abs(found["head/transformer/kernel"]).max() > 1e-3
    (path,) = [p for p in found if p.endswith("block2/first/conv1/conv/kernel")]
    assert np.abs(found[path]).max() > 1e-4
    labeled = gradients(model, prepared, "labeled_loss")
    np.testing.assert_allclose(gradients(model, prepared)[head], labeled[head])
    whole = sharpened(threshold=0.0)
    whole.student.set_weights(model.student.get_weights())
    scores = tf.constant(np.random.default_rng(0).normal(size=(5, 2, 3)), "float32")
    targets = tf.one_hot([0, 1, 2, 0, 1], 3)
    logs = log_softmax(scores[:, 1].numpy(), axis=1)
    expected = -(targets.numpy() * logs).sum(1) / 2
    np.testing.assert_allclose(model.unlabeled_loss(targets, scores), expected, 1e-5)
    assert (np.asarray(whole.unlabeled_loss(targets, scores)) > expected).all()


def test_the_student_answers():
    model = sharpened()
    model.compile(keras.optimizers.SGD(0.1), jit_compile=False)
    images = BATCH[0]["image"]
    np.testing.assert_array_equal(model(images), model.student(images))
    model.student.head.heads[0].bias.assign([9.0, 0.0, 0.0])
    assert np.abs(model(images) - model.teacher(images)).max() > 1
    assert model.selecting_metric == "val_student_accuracy"


def test_a_few_steps_reduce_the_loss():
    model = Semiformer(small_semiformer(), 3, threshold=0.0, unlabeled_weight=0.5)
    model.compile(keras.optimizers.AdamW(1e-2), jit_compile=False)
    data = tf.data.Dataset.from_tensors(BATCH).repeat(20)
    history = model.fit(data, epochs=2, verbose=0).history
    assert history["labeled_loss"][1] < 0.8 * history["labeled_loss"][0]
    assert history["kept"] == [1.0, 1.0]


@pytest.mark.parametrize(
    ("build", "message"),
    [
        (lambda: Semiformer(small_vit(), 3), "such as semiformer_small. Received: ViT"),
        (
            lambda: Semiformer(small_vit(), 3, labeler="student"),
            "`backbone` should have two streams, .* Received: ViT",
        ),
        (
            lambda: SemiSupervised(small_vit(), 3, labeler="transformer"),
            '`labeler="transformer"` needs a backbone of two streams',
        ),
    ],
)
def test_one_stream_is_refused(build, message):
    with pytest.raises(ValueError, match=message):
        build()
