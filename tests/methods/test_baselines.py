"""Methods to compare with, five steps of each against NumPy, and single numbers."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from semivit_tf.losses.probabilities import sharpened, squared_error
from semivit_tf.methods.ema_teacher import EMATeacher
from semivit_tf.methods.flexmatch import FlexMatch
from semivit_tf.methods.mean_teacher import MeanTeacher
from semivit_tf.methods.pi_model import PiModel
from semivit_tf.methods.pseudo_label import PseudoLabel
from semivit_tf.methods.selections.curriculum_threshold import CurriculumThreshold
from semivit_tf.methods.selections.soft_weights import SoftWeights
from semivit_tf.methods.semi_vit import SemiViT
from semivit_tf.methods.softmatch import SoftMatch
from semivit_tf.methods.supervised import Supervised
from semivit_tf.methods.uda import UDA
from semivit_tf.training.schedules import Annealing
from tests.methods import softmax_regression
from tests.methods.small import semi_batch, sharpen, small_vit
from tests.methods.softmax_regression import CLASSES, SoftmaxRegression

MOMENTUM = 0.6  # of the teacher
IMAGES = 24


def soft_cross_entropy(found, targets):
    """Returns losses, and their gradients for logits."""
    return -(targets * np.log(found)).sum(axis=1), found - targets


def squared(found, targets):
    of_found = 2 * (found - targets) / CLASSES
    inner = (of_found * found).sum(axis=1, keepdims=True)
    return np.square(found - targets).mean(axis=1), found * (of_found - inner)


def hard(given):
    return np.eye(CLASSES)[given.argmax(axis=1)]


def fixed(threshold):
    def select(given, step):
        return (given.max(axis=1) >= threshold).astype("float64")

    return select


class Curriculum:
    """FlexMatch's thresholds; what the network was sure of counts from then on."""

    def __init__(self, threshold):
        self.threshold, self.memory = threshold, np.full(IMAGES, -1)

    def thresholds(self):
        counts = np.array([(self.memory == c).sum() for c in range(CLASSES)])
        share = counts / max(counts.max(), (self.memory == -1).sum())
        return self.threshold * share / (2 - share)

    def __call__(self, given, step):
        labels, sure = given.argmax(axis=1), given.max(axis=1)
        weight = (sure >= self.thresholds()[labels]).astype("float64")
        self.memory = np.where(sure >= self.threshold, labels, self.memory)
        return weight


class Soft:
    """SoftMatch's weights."""

    def __init__(self, momentum):
        self.momentum, self.mean = momentum, None
        self.confidence, self.variance = 1 / CLASSES, 1.0

    def __call__(self, given, step):
        m, mean = self.momentum, given.mean(axis=0)
        self.mean = mean if self.mean is None else m * self.mean + (1 - m) * mean
        even = given * (1 / CLASSES + 1e-6) / (self.mean + 1e-6)
        sure = (even / even.sum(axis=1, keepdims=True)).max(axis=1)
        self.confidence = m * self.confidence + (1 - m) * sure.mean()
        self.variance = m * self.variance + (1 - m) * sure.var(ddof=1)
        below = np.minimum(sure - self.confidence, 0)
        return np.exp(-np.square(below) / (2 * self.variance / 4))


def sharp(given):
    return softmax_regression.normalized_rows(given ** (1 / 0.4))


def let_in(found, step):
    """UDA's linear annealing over five steps."""
    limit = 1 / CLASSES + (1 - 1 / CLASSES) * step / 5
    return (found.max(axis=1) <= limit).astype("float64")


# Method, who labels, what it is told and learns from, its rules.
CASES = {
    "supervised": (Supervised, {}, "student", None, None, fixed(2), None),
    "pseudo_label": (
        PseudoLabel,
        {"threshold": 0.6},
        "student",
        "weak",
        hard,
        fixed(0.6),
        soft_cross_entropy,
    ),
    "pi_model": (
        PiModel,
        {"unlabeled_weight": 3.0},
        "student",
        "weak2",
        np.copy,
        fixed(0),
        squared,
    ),
    "mean_teacher": (
        MeanTeacher,
        {"unlabeled_weight": 3.0},
        "teacher",
        "weak2",
        np.copy,
        fixed(0),
        squared,
    ),
    "uda": (
        UDA,
        {"threshold": 0.5},
        "student",
        "strong",
        sharp,
        fixed(0.5),
        soft_cross_entropy,
    ),
    "annealed_uda": (
        UDA,
        {"threshold": 0.5, "annealing": Annealing("linear", 5)},
        "student",
        "strong",
        sharp,
        fixed(0.5),
        soft_cross_entropy,
    ),
    "flexmatch": (
        FlexMatch,
        {"threshold": 0.8, "images": IMAGES},
        "student",
        "strong",
        hard,
        Curriculum(0.8),
        soft_cross_entropy,
    ),
    "softmatch": (
        SoftMatch,
        {"threshold_momentum": 0.7},
        "student",
        "strong",
        hard,
        Soft(0.7),
        soft_cross_entropy,
    ),
    "ema_teacher": (
        SemiViT,
        {
            "mixing": "none",
            "threshold": 0.6,
            "label_smoothing": 0.0,
            "mixup_alpha": 0.0,
            "cutmix_alpha": 0.0,
        },
        "teacher",
        "strong",
        hard,
        fixed(0.6),
        soft_cross_entropy,
    ),
}


@pytest.mark.parametrize("name", CASES)
def test_five_steps_equal_numpy(name):
    method, options, who, learned, told, select, loss = CASES[name]
    model = method(softmax_regression.backbone(), CLASSES, **options)
    sharpen(model.student, 8.0)
    model.teacher.set_weights(model.student.get_weights())
    model.compile(keras.optimizers.SGD(0.1), jit_compile=False)
    EMATeacher(MOMENTUM).set_model(model)
    head = model.student.head
    start = head.kernel.numpy(), head.bias.numpy()
    student, teacher = (SoftmaxRegression(*start, rate=0.1) for _ in range(2))
    factor = model.unlabeled_weight
    kept = []
    for step in range(5):
        views, labels = semi_batch(8, IMAGES, seed=step, classes=CLASSES)
        given = (student if who == "student" else teacher).probabilities(views["weak"])
        weight = select(given, step)
        found = student.probabilities(views["image"])
        counts = let_in(found, step) if name == "annealed_uda" else np.ones(8)
        losses, slopes = soft_cross_entropy(found, np.eye(CLASSES)[labels])
        labeled = (losses * counts).mean()
        groups, gradients = [views["image"]], [slopes * counts[:, None] / 8]
        logs = {"loss": labeled}
        if learned:
            found = student.probabilities(views[learned])
            losses, slopes = loss(found, told(given))
            unlabeled = (losses * weight).mean()
            groups.append(views[learned])
            gradients.append(factor * slopes * weight[:, None] / IMAGES)
            logs = {"labeled_loss": labeled, "unlabeled_loss": unlabeled}
            logs |= {"loss": labeled + factor * unlabeled, "kept": weight.mean()}
        student.descend(groups, gradients)
        for attribute in ("kernel", "bias"):
            old, new = getattr(teacher, attribute), getattr(student, attribute)
            setattr(teacher, attribute, MOMENTUM * old + (1 - MOMENTUM) * new)
        model.reset_metrics()
        found = model.train_on_batch(views, labels, return_dict=True)
        for key, value in logs.items():
            np.testing.assert_allclose(found[key], value, rtol=2e-6, atol=1e-6)
        kept.append(logs.get("kept", 0.0))
    np.testing.assert_allclose(head.kernel, student.kernel, atol=1e-6)
    np.testing.assert_allclose(model.teacher.head.kernel, teacher.kernel, atol=1e-6)
    if name not in ("supervised", "pi_model", "mean_teacher"):
        assert len(set(kept)) > 2


def test_the_curriculum_of_two_classes():
    """All images used, 10 and 5 in a class: 0.95 * (1, 1/3)."""
    selection = FlexMatch(small_vit(), 2, images=15).selection
    assert np.all(selection.thresholds() == 0)
    selection.memory.assign([0.0] * 10 + [1.0] * 5)
    np.testing.assert_allclose(selection.thresholds(), [0.95, 0.95 / 3], rtol=1e-6)
    # With 20 more that have no label, these take the place of the largest class.
    selection.memory.assign([0.0] * 4 + [1.0] * 2 + [-1.0] * 9)
    expected = 0.95 * np.array([4 / 9 / (2 - 4 / 9), 2 / 9 / (2 - 2 / 9)])
    np.testing.assert_allclose(selection.thresholds(), expected, rtol=1e-6)


def test_images_that_are_never_shown_do_not_lower_the_curriculum():
    selection = CurriculumThreshold(0.9, images=30, shown=15)
    selection.build((None, 2))
    selection.memory.assign([0.0] * 10 + [1.0] * 5 + [-1.0] * 15)
    np.testing.assert_allclose(selection.thresholds(), [0.9, 0.3], rtol=1e-6)


def test_memory_is_that_of_all_replicas(mirrored):
    with mirrored.scope():
        selection = CurriculumThreshold(0.8, images=6)
        selection.build((None, 2))
    rows = np.array([[0.9, 0.1], [0.1, 0.9], [0.6, 0.4], [0.2, 0.8]], "float32")
    data = tf.data.Dataset.from_tensor_slices((rows, [5, 1, 2, 3])).batch(4)
    for batch in mirrored.experimental_distribute_dataset(data):
        mirrored.run(lambda row: selection(row[0], index=row[1]), args=(batch,))
    for copy in mirrored.experimental_local_results(selection.memory.value):
        np.testing.assert_allclose(copy, [-1, 1, -1, 1, -1, 0], atol=1e-6)


def test_statistics_are_those_of_the_batch_of_all_replicas(mirrored):
    rows = np.random.default_rng(0).dirichlet([1, 1, 1], 8).astype("float32")
    selection = SoftWeights(0.5)
    expected = selection(rows).numpy()
    with mirrored.scope():
        other = SoftWeights(0.5)
        other.build((None, 3))
    data = tf.data.Dataset.from_tensor_slices(rows).batch(8)
    for batch in mirrored.experimental_distribute_dataset(data):
        found = mirrored.run(other, args=(batch,))
    found = np.concatenate(mirrored.experimental_local_results(found))
    np.testing.assert_allclose(found, expected, rtol=1e-5)
    np.testing.assert_allclose(other.variance, selection.variance, rtol=1e-5)


def test_soft_weights_by_hand():
    """Half a deviation below the mean: exp(-1/4 * 4 / 2)."""
    selection = SoftMatch(small_vit(), 2).selection
    selection.class_probability.assign([0.5, 0.5])
    selection.confidence.assign(0.8)
    selection.variance.assign(0.04)
    weight = selection.judge(np.array([[0.8, 0.2], [0.95, 0.05], [0.3, 0.7]]))
    np.testing.assert_allclose(weight, [1, 1, np.exp(-0.5)], rtol=1e-4)


def test_alignment_with_an_even_mean_changes_nothing():
    selection = SoftMatch(small_vit(), 2).selection
    selection.class_probability.assign([0.5, 0.5])
    rows = np.array([[0.8, 0.2], [0.1, 0.9]], "float32")
    np.testing.assert_allclose(selection.aligned(rows), rows, rtol=1e-6)
    selection.class_probability.assign([0.75, 0.25])
    aligned = selection.aligned(np.array([[0.5, 0.5]], "float32"))
    np.testing.assert_allclose(aligned, [[0.25, 0.75]], rtol=1e-5)


def test_the_teacher_has_no_gradient_and_the_student_has():
    model = MeanTeacher(small_vit(), 3)
    sharpen(model.student)
    sharpen(model.teacher, 30.0)
    prepared = model.prepare(semi_batch())
    with tf.GradientTape() as tape:
        _, terms = model.objective(prepared)
    heads = [model.student.head.kernel.value, model.teacher.head.kernel.value]
    of_student, of_teacher = tape.gradient(terms["unlabeled_loss"][0], heads)
    assert np.abs(of_student).max() > 1e-5 and of_teacher is None


def test_annealing_lets_labels_in_from_chance_to_all():
    model = UDA(small_vit(), 10, annealing=Annealing("linear", 4))
    model.compile(keras.optimizers.SGD(0.1))
    sure = tf.constant([[8.0] + [0.0] * 9, [0.0] * 10])
    np.testing.assert_array_equal(model.is_let_in(sure), [0, 1])  # at 1 / 10
    model.optimizer.iterations.assign(4)
    np.testing.assert_array_equal(model.is_let_in(sure), [1, 1])  # at 1


@pytest.mark.parametrize(
    ("kind", "expected"),
    [
        ("linear", [0, 0.5, 1, 1]),
        ("exp", [np.exp(-5), np.exp(-2.5), 1, 1]),
        ("log", [0, 1 - np.exp(-2.5), 1 - np.exp(-5), 1 - np.exp(-5)]),
    ],
)
def test_annealing_curves(kind, expected):
    schedule = Annealing(kind, 10)
    found = [float(schedule(step)) for step in (0, 5, 10, 20)]
    np.testing.assert_allclose(found, expected, atol=1e-6)
    assert Annealing.from_config(schedule.get_config()).kind == kind


def test_sharpening_is_a_temperature():
    logits = np.array([[1.0, 2.0, -1.0]], "float32")
    found = sharpened(tf.nn.softmax(logits), 0.4)
    np.testing.assert_allclose(found, tf.nn.softmax(logits / 0.4), rtol=1e-5)
    np.testing.assert_allclose(
        sharpened(tf.constant([[1.0, 0.0]]), 0.4), [[1.0, 0.0]], atol=1e-6
    )


def test_squared_error_by_hand():
    targets = np.array([[1.0, 0.0]], "float32")
    found = squared_error(targets, np.log(np.array([[0.6, 0.4]])))
    np.testing.assert_allclose(found, [0.16], rtol=1e-6)


def test_supervised_reads_no_unlabelled_image():
    views, labels = semi_batch()
    model = Supervised(small_vit(), 3)
    prepared = model.prepare(({"image": views["image"]}, labels))
    assert set(prepared) == {"image", "target"}
    assert model.unlabeled_views == () and model.logged_terms() == ()


def test_an_index_is_asked_for():
    views, labels = semi_batch()
    del views["index"]
    with pytest.raises(ValueError, match="batches with the `index`"):
        FlexMatch(small_vit(), 3, images=12).prepare((views, labels))
    with pytest.raises(ValueError, match="`images` should be the number of images"):
        FlexMatch(small_vit(), 3)
