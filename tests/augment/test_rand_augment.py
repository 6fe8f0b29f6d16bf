"""RandAugment: what is drawn, how strong it is, and that it does what Pillow does."""

import collections

import numpy as np
import pytest
import tensorflow as tf
from PIL import Image, ImageEnhance, ImageOps
from scipy import stats

from semivit_tf.augment.rand_augment import OPERATIONS, RandAugment
from semivit_tf.augment.randomness import image_key
from tests.augment.pictures import BOTH, photograph

FILL = (124, 116, 104)
RECIPE = "rand-m9-mstd0.5-inc1"


def draws(count=20000, description=RECIPE):
    operation = RandAugment(description)
    return [operation.draw(image_key(0, 3, 0, i)) for i in range(count)]


# === What is drawn ===


def test_each_operation_is_drawn_equally_often_and_applied_half_of_the_time():
    drawn = draws()
    counts = collections.Counter(name for one in drawn for name, _ in one)
    assert set(counts) == set(OPERATIONS) and len(OPERATIONS) == 15
    assert stats.chisquare(list(counts.values())).pvalue > 1e-3
    lengths = np.bincount([len(one) for one in drawn], minlength=3)
    expected = np.array([0.25, 0.5, 0.25]) * 20000
    assert stats.chisquare(lengths, expected).pvalue > 1e-3


def test_operations_are_drawn_with_replacement():
    same = np.mean([one[0][0] == one[1][0] for one in draws() if len(one) == 2])
    assert abs(same - 1 / 15) < 4 * np.sqrt(1 / 15 * 14 / 15 / 5000)


def amounts(name, description=RECIPE):
    drawn = draws(description=description)
    return np.array([amount for one in drawn for n, amount in one if n == name])


def levels(count=400000):
    """Levels by the rule of the spec, drawn by NumPy."""
    return np.clip(np.random.default_rng(0).normal(9, 0.5, count), 0, 10)


@pytest.mark.parametrize(
    ("name", "most"),
    [
        ("Rotate", 30.0),
        ("ShearX", 0.3),
        ("ShearY", 0.3),
        ("TranslateX", 0.45),
        ("TranslateY", 0.45),
    ],
)
def test_geometric_amounts_follow_the_noisy_level_with_a_random_sign(name, most):
    found = amounts(name)
    assert stats.binomtest(int((found > 0).sum()), len(found)).pvalue > 1e-3
    assert np.abs(found).max() <= most
    level = np.abs(found) / most * 10
    assert stats.ks_2samp(level[level < 10], levels()[levels() < 10]).pvalue > 1e-3
    clipped = int((level >= 10 - 1e-9).sum())  # 2.3 % of the draws
    assert stats.binomtest(clipped, len(level), stats.norm.sf(2)).pvalue > 1e-3


@pytest.mark.parametrize("name", ["Color", "Contrast", "Brightness", "Sharpness"])
def test_factors_lie_on_both_sides_of_one(name):
    found = amounts(name)
    level = np.abs(found - 1) / 0.9 * 10
    assert stats.ks_2samp(level[level < 10], levels()[levels() < 10]).pvalue > 1e-3
    assert stats.binomtest(int((found > 1).sum()), len(found)).pvalue > 1e-3


@pytest.mark.parametrize(
    ("name", "rule"),
    [
        ("Posterize", lambda level: 4 - np.trunc(0.4 * level)),
        ("Solarize", lambda level: 256 - np.trunc(25.6 * level)),
        ("SolarizeAdd", lambda level: np.trunc(11 * level)),
    ],
)
def test_whole_amounts_follow_the_rule(name, rule):
    found = amounts(name)
    expected = rule(levels())
    values = np.union1d(np.unique(found), np.unique(expected))
    ours = np.array([(found == value).sum() for value in values])
    share = np.array([(expected == value).mean() for value in values])
    often = share * len(found) >= 5
    ours = np.append(ours[often], ours[~often].sum())
    share = np.append(share[often], share[~often].sum())
    kept = share > 0
    assert kept.sum() > 1 and ours[~kept].sum() == 0
    test = stats.chisquare(ours[kept], share[kept] / share.sum() * ours[kept].sum())
    assert test.pvalue > 1e-3


def test_amounts_at_level_nine_are_those_of_the_table():
    expected = {
        "Rotate": 27.0,
        "Posterize": 1,
        "Solarize": 26,
        "SolarizeAdd": 99,
        "Color": 1.81,
        "Contrast": 1.81,
        "Brightness": 1.81,
        "Sharpness": 1.81,
        "ShearX": 0.27,
        "ShearY": 0.27,
        "TranslateX": 0.405,
        "TranslateY": 0.405,
    }
    for name, amount in expected.items():
        assert OPERATIONS[name][1](9.0, 1.0, True) == pytest.approx(amount)
    assert OPERATIONS["Color"][1](9.0, -1.0, True) == pytest.approx(0.19)
    assert OPERATIONS["Posterize"][1](10.0, 1.0, True) == 0
    assert OPERATIONS["Posterize"][1](9.0, 1.0, False) == 3
    assert OPERATIONS["Color"][1](9.0, 1.0, False) == pytest.approx(1.72)


def test_without_deviation_the_level_is_the_magnitude():
    found = np.abs(amounts("Rotate", "rand-m5-inc1"))
    np.testing.assert_allclose(found, 15.0)


def test_the_number_of_operations_can_be_chosen():
    lengths = [len(one) for one in draws(2000, "rand-m9-n3-inc1")]
    assert max(lengths) == 3 and abs(np.mean(lengths) - 1.5) < 0.1


# === What is done ===


def _affine(matrix):
    return lambda image: image.transform(
        image.size,
        Image.Transform.AFFINE,
        matrix(image.size),
        Image.Resampling.BICUBIC,
        fillcolor=FILL,
    )


def pillows(name, amount):
    enhancers = {
        "Color": ImageEnhance.Color,
        "Contrast": ImageEnhance.Contrast,
        "Brightness": ImageEnhance.Brightness,
        "Sharpness": ImageEnhance.Sharpness,
    }
    if name in enhancers:
        return lambda image: enhancers[name](image).enhance(amount)
    return {
        "AutoContrast": ImageOps.autocontrast,
        "Equalize": ImageOps.equalize,
        "Invert": ImageOps.invert,
        "Rotate": lambda image: image.rotate(
            amount, Image.Resampling.BICUBIC, fillcolor=FILL
        ),
        "Posterize": lambda image: ImageOps.posterize(image, amount),
        "Solarize": lambda image: ImageOps.solarize(image, amount),
        "SolarizeAdd": lambda image: image.point(
            [min(255, v + amount) if v < 128 else v for v in range(256)] * 3
        ),
        "ShearX": _affine(lambda size: (1, amount, 0, 0, 1, 0)),
        "ShearY": _affine(lambda size: (1, 0, 0, amount, 1, 0)),
        "TranslateX": _affine(lambda size: (1, 0, amount * size[0], 0, 1, 0)),
        "TranslateY": _affine(lambda size: (1, 0, 0, 0, 1, amount * size[1])),
    }[name]


@pytest.mark.parametrize("picture", BOTH.values(), ids=BOTH)
@pytest.mark.parametrize("name", OPERATIONS)
def test_an_operation_equals_pillows(name, picture):
    """Exactly, but for geometry: one level, in at most 0.1 % of the pixels."""
    image = picture()
    operation, amount_of = OPERATIONS[name]
    for level, sign in ((9.0, 1.0), (8.3, -1.0), (3.7, 1.0)):
        amount = amount_of(level, sign, True)
        expected = np.asarray(pillows(name, amount)(Image.fromarray(image)))
        difference = np.abs(operation(image, amount).astype(int) - expected)
        assert difference.max() <= 1
        geometric = name.startswith(("Rotate", "Shear", "Translate"))
        assert (difference > 0).mean() <= (1e-3 if geometric else 0)


def test_an_image_goes_through_the_operations_in_order():
    operation = RandAugment(RECIPE, probability=1.0)
    compared = 0
    for key in range(12):
        drawn = operation.draw(key)
        if any(name == "Posterize" and amount == 0 for name, amount in drawn):
            continue
        expected = Image.fromarray(photograph())
        for name, amount in drawn:
            expected = pillows(name, amount)(expected)
        difference = np.abs(
            operation(photograph(), key) - np.asarray(expected, "int16")
        )
        compared += 1
        # A level that differs by one before equalising may differ by more after it.
        assert (difference > 1).mean() < 0.01
    assert compared > 8


# === How it is called ===


def test_numbers_and_tensors_give_the_same_inside_a_pipeline():
    operation = RandAugment(RECIPE, probability=1.0)
    image = photograph()
    expected = [operation(image, np.uint64(key)) for key in range(4)]
    data = tf.data.Dataset.range(4).map(lambda key: operation(tf.constant(image), key))
    assert data.element_spec.shape == image.shape
    for ours, other in zip(data, expected, strict=True):
        np.testing.assert_array_equal(ours, other)


def test_floats_stay_floats_and_draws_are_new_without_a_key():
    operation = RandAugment(RECIPE, probability=1.0)
    floats = operation(photograph().astype("float32"), 5)
    assert floats.dtype == np.float32
    np.testing.assert_array_equal(floats, operation(photograph(), 5))
    seen = {operation(photograph()).tobytes() for _ in range(8)}
    assert len(seen) > 4
    graph = tf.function(lambda: operation(tf.constant(photograph())))
    assert len({graph().numpy().tobytes() for _ in range(8)}) > 4


@pytest.mark.parametrize("text", ["", "rand-m11", "auto-m9", "rand-m9-x2", "rand m9"])
def test_other_descriptions_are_refused(text):
    with pytest.raises(ValueError, match="rand-m9-mstd0.5-inc1"):
        RandAugment(text)
