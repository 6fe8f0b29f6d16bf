"""Views by name, from keys, and from layers of Keras."""

import numpy as np
import pytest
import tensorflow as tf

from semivit_tf.augment.policies import POLICIES, create_policies
from semivit_tf.augment.randomness import image_keys


def images_and_keys(count=6, shape=(16, 16, 3)):
    generator = np.random.default_rng(0)
    images = generator.uniform(0, 255, (count, *shape)).astype("float32")
    index = tf.range(count)
    return tf.constant(images), image_keys(0, 1, tf.zeros_like(index), index)


@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize("name", sorted(POLICIES))
def test_views_keep_the_shape_and_depend_on_the_key_alone(name, channels):
    images, keys = images_and_keys(shape=(16, 16, channels))
    views = create_policies(name, (16, 16, channels))
    assert set(views) == {"labeled", "weak", "strong"}
    for view in views.values():
        together = view(images, keys)
        assert together.shape == images.shape
        np.testing.assert_allclose(
            together[2:3], view(images[2:3], keys[2:3]), atol=1e-4
        )


def test_strong_views_differ_more_than_weak_ones():
    images, keys = images_and_keys(64)
    for name in ("small", "photo"):
        views = create_policies(name, (16, 16, 3))
        change = {
            view: np.abs(np.asarray(views[view](images, keys) - images)).mean()
            for view in ("weak", "strong")
        }
        assert 0 < change["weak"] < change["strong"]


def test_none_changes_nothing_and_auto_goes_by_size():
    images, keys = images_and_keys()
    for view in create_policies("none", (16, 16, 3)).values():
        np.testing.assert_array_equal(view(images, keys), images)
    small = create_policies("auto", (32, 32, 3))["weak"].operations
    photo = create_policies("auto", (96, 96, 3))["weak"].operations
    assert [type(op).__name__ for op in small] == ["RandomAffine"]
    assert [type(op).__name__ for op in photo] == ["RandomResizedCrop", "RandomFlip"]


def test_strength_zero_leaves_small_images_where_they_are():
    images, keys = images_and_keys()
    weak = create_policies("small", (16, 16, 3), strength=0.0)["weak"]
    np.testing.assert_allclose(weak(images, keys), images, atol=1e-3)


@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize(
    "layer", ["keras.RandAugment", "keras_cv.RandAugment", "keras.RandomFlip"]
)
def test_a_layer_of_keras_makes_the_strong_view_inside_a_pipeline(layer, channels):
    shape = (16, 16, channels)
    images, keys = images_and_keys(shape=shape)
    views = create_policies("small", shape, strong_layer=layer)
    data = tf.data.Dataset.from_tensors((images, keys)).map(views["strong"])
    (strong,) = data
    assert strong.shape == images.shape
    weak = views["weak"](images, keys)
    assert np.abs(np.asarray(strong) - np.asarray(weak)).max() > 1


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"name": "heavy"}, "`augmentation` should be one of: auto, none"),
        ({"name": "auto", "strength": -1.0}, "should not be negative"),
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
