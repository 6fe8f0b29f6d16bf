"""Crops of the same images, each drawn by itself, from files that are decoded once."""

import itertools

import numpy as np
import pytest
import tensorflow as tf

from semivit_tf.augment.decoding import decode
from semivit_tf.augment.multi_crop import crop_policies
from semivit_tf.augment.randomness import image_key
from semivit_tf.data import views as module
from semivit_tf.data.dataset import load_dataset
from semivit_tf.data.order import index_batches
from semivit_tf.data.views import Views, stream
from tests.data.files import BytesSource, encoded, picture


def digits(**options):
    return load_dataset("digits", labels_per_class=4, seed=0, **options)


def test_batches_have_the_images_first_and_the_crops_second():
    batch = next(iter(digits().crops(5, local_crops=3, local_size=4)))
    assert {name: crops.shape for name, crops in batch.items()} == {
        "global": (5, 2, 8, 8, 1),
        "local": (5, 3, 4, 4, 1),
    }
    assert batch["global"].dtype == batch["local"].dtype == tf.uint8
    alone = next(iter(digits().crops(5, local_crops=0)))
    assert set(alone) == {"global"}


def test_crops_are_views_of_the_same_image_in_the_order_of_pretraining():
    data = digits(augmentation="none")
    for batch, images in zip(
        itertools.islice(data.crops(7, 2, start_step=3), 3),
        data.images(7, start_step=3),
        strict=False,
    ):
        np.testing.assert_array_equal(batch["global"][:, 0], images)
        np.testing.assert_array_equal(batch["global"][:, 1], images)
        np.testing.assert_array_equal(batch["local"][:, 0], batch["local"][:, 1])
        mean = np.mean(images, axis=(1, 2, 3))
        small = np.mean(batch["local"], axis=(1, 2, 3, 4))
        assert np.corrcoef(mean, small)[0, 1] > 0.95


def test_every_crop_of_an_image_is_drawn_by_itself():
    batch = next(iter(digits().crops(6, local_crops=8, local_size=4)))
    for crops in batch.values():
        for one, other in itertools.combinations(range(crops.shape[1]), 2):
            difference = np.abs(crops[:, one] - crops[:, other]).max(axis=(1, 2, 3))
            assert (difference > 0).all()


def test_the_number_of_local_crops_does_not_change_the_others():
    few, many = (next(iter(digits().crops(6, count))) for count in (2, 5))
    np.testing.assert_array_equal(few["global"], many["global"])
    np.testing.assert_array_equal(few["local"], many["local"][:, :2])


def test_streams_of_draws_are_all_different():
    views = ("labeled", "weak", "strong", "pretrain", "global1", "global2")
    names = [*views, *(f"local{number}" for number in range(1, 200))]
    assert len({stream(name) for name in names}) == len(names)


@pytest.mark.parametrize(
    ("side", "multiple", "expected"),
    [(224, 16, 96), (224, 1, 96), (28, 4, 12), (32, 4, 12), (8, 2, 4), (16, 16, 16)],
)
def test_local_size_is_as_96_to_224_in_whole_patches(side, multiple, expected):
    data = digits(image_size=side)
    assert data.local_size(multiple) == (expected, expected)
    batch = next(iter(data.crops(2, 1)))
    assert batch["local"].shape[2:4] == data.local_size()


def test_strength_and_split_reach_the_policies():
    whole = next(iter(digits(strength=0.0, augmentation="small").crops(6, 1)))
    images = next(iter(digits(augmentation="none").images(6)))
    correlations = [
        np.corrcoef(crop.numpy().ravel(), image.numpy().ravel())[0, 1]
        for crop, image in zip(whole["global"][:, 0], images, strict=True)
    ]
    assert min(correlations) > 0.999
    narrow, wide = (
        next(iter(digits().crops(64, 4, split=split)))["local"] for split in (0.2, 0.9)
    )
    # Digits are bright in the middle: what shows less is brighter or darker.
    assert np.std(np.mean(narrow, (2, 3, 4))) > 1.2 * np.std(np.mean(wide, (2, 3, 4)))


def test_crops_may_be_of_another_family_than_views():
    data = digits(augmentation="small")
    batch = next(iter(data.crops(6, 1, family="none")))
    images = next(iter(digits(augmentation="none").images(6)))
    for number in (0, 1):
        np.testing.assert_array_equal(batch["global"][:, number], images)
    own = next(iter(data.crops(6, 1)))["global"]
    assert not np.array_equal(own[:, 0], own[:, 1])


def test_files_are_decoded_once_for_all_crops(monkeypatch):
    images = [picture(n, (60 + n, 90 - n)) for n in range(8)]
    contents = [encoded(image, "PNG") for image in images]
    pixels = [decode(tf.constant(content)).numpy() for content in contents]
    opened = []

    class Counted(module.OpenImage):
        def __init__(self, contents, *limits):
            opened.append(contents)
            super().__init__(contents, *limits)

        def window(self, box, halvings):
            opened.append("window")
            return super().window(box, halvings)

    monkeypatch.setattr(module, "OpenImage", Counted)
    policies = crop_policies("photo", (24, 32), (12, 16), 6)
    views = Views(BytesSource(contents, np.zeros(8)), policies, seed=5)
    order = index_batches(np.arange(8), 4, (5, 1))
    batches = views.batches(order, tuple(policies))
    assert len(opened) == 2 * 4  # in the graph of four images: one window each
    for (crops, _, _), (epochs, indices) in zip(
        batches.take(2), order.take(2), strict=True
    ):
        assert list(crops) == list(policies)
        for name, crop in crops.items():
            for row, (epoch, index) in enumerate(zip(epochs, indices, strict=True)):
                key = image_key(5, stream(name), epoch, index)
                expected = policies[name](pixels[int(index)], key)
                np.testing.assert_array_equal(crop[row], expected)
