"""Views of files: what is decoded, and that it is what the whole image would give."""

import numpy as np
import pytest
import tensorflow as tf
from PIL import Image

from semivit_tf.augment.decoding import OpenImage, decode
from semivit_tf.augment.policies import create_policies
from semivit_tf.augment.randomness import image_key
from semivit_tf.data.joined_source import JoinedSource
from semivit_tf.data.order import index_batches
from semivit_tf.data.views import Views, plan_window
from tests.data.files import BytesSource, encoded, picture


@pytest.mark.parametrize("kind", ["JPEG", "PNG"])
def test_a_window_is_a_part_of_the_whole(kind):
    contents = tf.constant(encoded(picture(1, (57, 83)), kind))
    image = OpenImage(contents)
    assert image.size.numpy().tolist() == [57, 83]
    whole = decode(contents).numpy()
    for top, left, height, width in ((0, 0, 57, 83), (16, 24, 33, 40), (5, 7, 20, 9)):
        box = tf.constant([top, left, height, width])
        window = image.window(box, tf.constant(0)).numpy()
        expected = whole[top : top + height, left : left + width]
        # A JPEG's colours are interpolated from its neighbours, which a crop has not.
        assert np.abs(window.astype(int) - expected).max() <= (
            0 if kind == "PNG" else 12
        )
        assert np.abs(window.astype(int) - expected).mean() < 1.5


def test_windows_are_decoded_as_small_as_views_need():
    boxes = [(100, 200, 900, 1000), (400, 100, 500, 500)]
    sizes = [(224, 224), (224, 224)]
    assert plan_window(boxes, sizes, 3) == ((50, 50, 450, 550), 1)
    assert plan_window(boxes, sizes, 0) == ((100, 100, 900, 1100), 0)
    assert plan_window([(3, 5, 4001, 4000)], [(224, 224)], 3) == ((0, 0, 501, 501), 3)
    assert plan_window([(3, 5, 447, 4000)], [(224, 224)], 3) == ((3, 5, 447, 4000), 0)


@pytest.mark.parametrize("kind", ["JPEG", "PNG"])
@pytest.mark.parametrize("family", ["photo", "small"])
def test_views_of_files_are_the_policies_views(kind, family):
    images = [picture(n, (60 + n, 90 - n)) for n in range(8)]
    contents = [encoded(image, kind, quality=95) for image in images]
    pixels = [decode(tf.constant(content)).numpy() for content in contents]
    source = BytesSource(contents, np.arange(8) % 2)
    # RandAugment makes much of little: leave it out where decoding differs a little.
    policies = create_policies(family, (24, 32, 3), rand_augment="", erasing=0.25)
    batches = Views(source, policies, seed=5).batches(
        index_batches(np.arange(8), 4, (5, 1)), ("weak", "strong")
    )
    order = index_batches(np.arange(8), 4, (5, 1))
    for (views, labels, found), (epochs, indices) in zip(
        batches.take(3), order.take(3), strict=True
    ):
        weak, strong = views["weak"], views["strong"]
        assert weak.shape == strong.shape == (4, 24, 32, 3)
        np.testing.assert_array_equal(found, indices)
        np.testing.assert_array_equal(labels, indices.numpy() % 2)
        for row, (epoch, index) in enumerate(zip(epochs, indices, strict=True)):
            for view, name, stream in ((weak, "weak", 2), (strong, "strong", 3)):
                key = image_key(5, stream, epoch, index)
                expected = policies[name](pixels[int(index)], key).astype("float32")
                difference = np.abs(view[row].numpy() - expected)
                assert difference.mean() < (1.0 if kind == "JPEG" else 1e-6)


def test_a_large_photograph_is_decoded_small_and_looks_the_same():
    image = np.asarray(Image.fromarray(picture(3)).resize((1600, 1200)))
    source = BytesSource([encoded(image, "JPEG", quality=95)], [0])
    policies = create_policies("photo", (64, 64, 3), rand_augment="", erasing=0.0)
    order = index_batches(np.arange(1), 1, 0)
    batches = Views(source, policies, 0).batches(order, ("pretrain",))
    for epoch, (views, _, _) in enumerate(batches.take(4)):
        expected = policies["pretrain"](image, image_key(0, 4, epoch, 0))
        view = views["pretrain"][0].numpy()
        assert np.abs(view.astype(int) - expected).mean() < 2


def test_joined_sources_count_on():
    first = BytesSource([b"a", b"b"], [0, 1])
    second = BytesSource([b"c"], [-1])
    joined = JoinedSource([first, second, first])
    assert joined.labels.tolist() == [0, 1, -1, 0, 1] and joined.name(3) == "0"
    indices = tf.data.Dataset.from_tensor_slices(np.array([4, 2, 1, 0, 3]))
    found = [contents.numpy() for contents in indices.map(joined.contents)]
    assert found == [b"b", b"c", b"b", b"a", b"a"]
