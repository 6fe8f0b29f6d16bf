"""Views by name, from keys, and from layers of Keras."""

import numpy as np
import pytest
import tensorflow as tf

from semivit_tf.augment.policies import POLICIES, create_policies
from semivit_tf.augment.randomness import image_key
from tests.augment.pictures import noise, photograph

VIEWS = {"pretrain", "labeled", "weak", "strong"}


@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize("name", sorted(POLICIES))
def test_views_have_their_size_and_depend_on_the_key_alone(name, channels):
    image = np.ascontiguousarray(noise()[..., :channels])
    views = create_policies(name, (16, 24, channels))
    assert set(views) == VIEWS
    for view in views.values():
        first, again, other = (view(image, image_key(0, 1, 0, i)) for i in (1, 1, 2))
        assert first.shape == (16, 24, channels)
        np.testing.assert_array_equal(first, again)
        assert name == "none" or not np.array_equal(first, other)


def test_a_view_of_a_window_is_the_view_of_the_image():
    """What is decoded of a file is a window: only the box must lie inside."""
    policy = create_policies("photo", (32, 32, 3), erasing=0.0)["strong"]
    image = photograph()
    for number in range(10):
        key = image_key(0, 1, 0, number)
        top, left, height, width = policy.box(97, 128, key)
        window = np.ascontiguousarray(image[top:, left : left + width])
        np.testing.assert_array_equal(
            policy.view(window, (0, 0, height, width), key), policy(image, key)
        )


def test_strong_views_differ_more_than_weak_ones():
    image = photograph()
    shape = image.shape
    views = create_policies("small", shape)
    change = {
        name: np.mean(
            [
                np.abs(views[name](image, image_key(0, 1, 0, i)) - image.astype(float))
                for i in range(40)
            ]
        )
        for name in ("weak", "strong")
    }
    assert 0 < change["weak"] < change["strong"]


def test_none_changes_nothing_and_auto_goes_by_size():
    image = noise()
    for view in create_policies("none", image.shape).values():
        np.testing.assert_array_equal(view(image, 3), image)
    small = create_policies("auto", (32, 32, 3))
    photo = create_policies("auto", (96, 96, 3))

    def names(policy):
        return [type(operation).__name__ for operation in policy.operations]

    assert names(small["weak"]) == ["RandomAffine"]
    assert names(photo["weak"]) == ["ColorJitter"]
    assert names(photo["strong"]) == ["RandAugment"]
    assert photo["strong"].erasing.probability == 0.25
    assert photo["labeled"] is photo["strong"]
    assert photo["weak"].erasing is None
    assert names(photo["pretrain"]) == []
    assert photo["strong"].framing.area == (0.08, 1.0)
    assert photo["pretrain"].framing.area == (0.2, 1.0)


def test_strength_zero_leaves_images_where_they_are():
    image = noise()
    weak = create_policies("small", image.shape, strength=0.0)["weak"]
    np.testing.assert_array_equal(weak(image, 3), image)
    framing = create_policies("photo", (32, 32, 3), strength=0.0)["weak"].framing
    assert framing.area == (1.0, 1.0)


def test_operations_can_be_chosen():
    views = create_policies("photo", (96, 96, 3), rand_augment="", erasing=0.0)
    assert views["strong"].operations == () and views["strong"].erasing is None
    small = create_policies("small", (8, 8, 1), rand_augment="rand-m5-inc1")["strong"]
    assert small.operations[2].magnitude == 5


@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize(
    "layer", ["keras.RandAugment", "keras_cv.RandAugment", "keras.RandomFlip"]
)
def test_a_layer_of_keras_makes_the_strong_view_inside_a_pipeline(layer, channels):
    image = np.ascontiguousarray(noise()[:16, :16, :channels])
    views = create_policies("small", image.shape, strong_layer=layer)
    weak = np.stack([views["weak"](image, key) for key in range(6)])
    np.testing.assert_array_equal(weak[1], views["strong"](image, 1))
    keys = np.arange(6, dtype="uint64")
    data = tf.data.Dataset.from_tensors(weak).map(
        lambda views_: views["strong"].finish(views_, keys)
    )
    (strong,) = data
    assert strong.shape == weak.shape
    assert np.abs(np.asarray(strong) - weak.astype(float)).max() > 1


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"name": "heavy"}, "`augmentation` should be one of: auto, none"),
        ({"name": "auto", "strength": -1.0}, "should be a number of at least 0"),
        (
            {"name": "auto", "rand_augment": "rand-x1"},
            "should be described",
        ),
        ({"name": "auto", "strong_layer": "keras.Nothing"}, "no layer named 'Nothing'"),
        ({"name": "auto", "strong_layer": "os.system"}, "keras.<Layer>"),
        (
            {"name": "auto", "strong_layer": "keras.Dense"},
            "keras.Dense needs arguments",
        ),
    ],
)
def test_wrong_names_are_refused(arguments, message):
    with pytest.raises(ValueError, match=message):
        create_policies(shape=(8, 8, 1), **arguments)
