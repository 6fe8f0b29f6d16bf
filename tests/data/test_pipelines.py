"""What a batch holds: the views asked for, of the images that its index names."""

import itertools

import numpy as np
import pytest

from semivit_tf.augment.randomness import image_key
from semivit_tf.data.dataset import load_dataset
from semivit_tf.data.views import stream
from tests.data.files import leaves, write_folder

ALL_VIEWS = ("weak", "strong", "weak2", "strong2")


def digits(**options):
    return load_dataset("digits", **{"labels_per_class": 4, "seed": 3, **options})


def folder(root):
    return load_dataset(
        "folder", write_folder(root), labels_per_class=3, image_size=16, seed=1
    )


def first(batches):
    """Returns the first batch of a stream as arrays."""
    batch, label = next(iter(batches))
    return {name: np.asarray(part) for name, part in batch.items()}, np.asarray(label)


def test_index_is_the_images_position_in_the_source():
    data = digits(augmentation="none")
    for step in (0, 11, 160):
        batch, _ = first(data.semi_supervised(4, 5, step))
        assert batch["index"].dtype == np.int64
        assert set(batch["index"]) <= set(data.unlabeled_indices)
        images = data.parts.train.images[batch["index"]]
        np.testing.assert_array_equal(batch["weak"], images)
        labels = data.parts.train.labels[batch["index"]]
        np.testing.assert_array_equal(batch["unlabeled_label"], labels)


def test_index_of_files_is_their_position(tmp_path):
    data = folder(tmp_path)
    passes = list(itertools.islice(data.semi_supervised(2, 2), 4))
    index = np.concatenate([batch["index"] for batch, _ in passes])
    assert len(data.unlabeled_indices) == 16
    assert sorted(index) == sorted(data.unlabeled_indices)
    for batch, _ in passes:
        labels = data.parts.train.labels[batch["index"].numpy()]
        np.testing.assert_array_equal(batch["unlabeled_label"], labels)


def test_further_views_are_other_draws_of_the_same_policies():
    data = digits(strength=0.0, erasing=0.0, rand_augment="")
    batch, _ = first(data.semi_supervised(4, 5, unlabeled_views=ALL_VIEWS))
    # Without geometry the weak policy draws nothing, the strong one colours.
    np.testing.assert_array_equal(batch["weak"], batch["weak2"])
    assert np.abs(np.float32(batch["strong"]) - batch["strong2"]).max() > 10
    data = digits()
    batch, _ = first(data.semi_supervised(4, 5, 3, unlabeled_views=ALL_VIEWS))
    images = data.parts.train.images[batch["index"]]
    number = 5 * 4 * 3 // len(data.unlabeled_indices)  # of the pass: the first
    for name, policy in (("weak2", "weak"), ("strong2", "strong")):
        shown = np.float32(batch[name])
        assert np.abs(shown - batch[policy]).max() > 10
        for view, image, index in zip(shown, images, batch["index"], strict=True):
            key = image_key(3, stream(name), number, index)
            np.testing.assert_array_equal(view, data.views.policies[policy](image, key))


def test_only_the_views_asked_for_are_made():
    data = digits()
    both, _ = first(data.semi_supervised(4, 2))
    assert set(both) == {"image", "weak", "strong", "index", "unlabeled_label"}
    pair, _ = first(data.semi_supervised(4, 2, unlabeled_views=["weak2", "weak"]))
    assert set(pair) == {"image", "weak", "weak2", "index", "unlabeled_label"}
    for name in set(both) & set(pair):
        np.testing.assert_array_equal(both[name], pair[name])


def test_labelled_images_may_be_shown_weakly():
    data = digits()
    batch, label = first(data.semi_supervised(4, 2, labeled_view="weak"))
    image, same = next(iter(data.labeled(4, view="weak")))
    np.testing.assert_array_equal(batch["image"], image)
    strong, _ = first(data.semi_supervised(4, 2))
    assert np.abs(np.float32(strong["image"]) - np.float32(image)).max() > 10
    source = data.parts.train
    rows = {bytes(source.images[i]): i for i in data.split.labeled}
    plain, _ = next(iter(digits(augmentation="none").labeled(4, view="weak")))
    for view, whole, number in zip(image, plain, label, strict=True):
        index = rows[bytes(whole.numpy())]
        assert source.labels[index] == number
        key = image_key(3, stream("labeled_weak"), 0, index)
        expected = data.views.policies["weak"](source.images[index], key)
        np.testing.assert_array_equal(view, expected)
    np.testing.assert_array_equal(label, same)


def test_every_view_has_a_stream_of_its_own():
    names = [*ALL_VIEWS, "labeled", "labeled_weak", "pretrain", "global1", "global2"]
    streams = [stream(name) for name in [*names, "local1", "local2"]]
    assert len(set(streams)) == len(streams) == 11


def test_workers_divide_a_batch_with_its_index_and_all_views(tmp_path):
    data = folder(tmp_path)

    def batches(shard):
        stream = data.semi_supervised(
            4, 2, 3, shard, unlabeled_views=ALL_VIEWS, labeled_view="weak"
        )
        return [leaves(batch) for batch in itertools.islice(stream, 5)]

    whole, one, other = batches((0, 1)), batches((0, 2)), batches((1, 2))
    assert len(whole) == 5 and len(whole[0]) == 8
    for together, *halves in zip(whole, one, other, strict=True):
        for part, *cut in zip(together, *halves, strict=True):
            np.testing.assert_array_equal(part, np.concatenate(cut))


@pytest.mark.parametrize("kind", ["labeled", "both"])
def test_a_batch_larger_than_the_labelled_images_repeats_them(kind):
    data = digits(augmentation="none")
    source = data.parts.train
    rows = {bytes(source.images[i]): i for i in data.split.labeled}
    stream = {
        "labeled": lambda: data.labeled(64),
        "both": lambda: (
            (views["image"], label)
            for views, label in data.semi_supervised(64, unlabeled_per_labeled=1)
        ),
    }[kind]()
    counts = dict.fromkeys(rows.values(), 0)
    assert len(counts) == 40
    for image, label in itertools.islice(stream, 7):
        found = [rows[bytes(one)] for one in image.numpy()]
        np.testing.assert_array_equal(label, source.labels[found])
        for index in found:
            counts[index] += 1
        assert max(counts.values()) - min(counts.values()) <= 1
    assert sum(counts.values()) == 7 * 64


def test_a_repeated_image_is_drawn_anew():
    data = load_dataset("digits", labels_per_class=1)
    images, labels = next(iter(data.labeled(40)))
    np.testing.assert_array_equal(np.bincount(labels), [4] * 10)
    assert len({bytes(image) for image in images.numpy()}) == 40


def test_what_is_drawn_for_a_seed_stays_for_ever():
    """Values kept from before there were further views."""
    names = ("labeled", "weak", "strong", "pretrain", "global1", "global2", "local1")
    assert [int(image_key(3, stream(name), 1, 2)) for name in names] == [
        *(1517317455405623467, 6203391581663158234, 9801009021440072251),
        *(2917793294844426703, 147172421447207506, 13602896086067114965),
        7944971018831596594,
    ]
    data = digits()
    batch, label = first(data.semi_supervised(4, 2, 7))
    assert label.tolist() == [3, 6, 6, 0]
    assert batch["unlabeled_label"].tolist() == [2, 6, 5, 7, 5, 7, 4, 6]
    kept = {
        "image": ([0, 46, 209, 175, 85, 34, 10, 1], 20894),
        "weak": ([0, 42, 220, 187, 78, 20, 2, 0], 39171),
        "strong": ([8, 10, 67, 188, 154, 142, 71, 20], 38894.77668762207),
    }
    for name, (row, total) in kept.items():
        assert batch[name][1, 3, :, 0].tolist() == row
        assert batch[name].sum(dtype="float64") == pytest.approx(total, rel=1e-6)
    images = next(iter(data.images(4, 7))).numpy()
    assert images[1, 3, :, 0].tolist() == [0, 57, 218, 98, 11, 195, 78, 7]
    assert images.sum() == 19429


def test_without_unlabelled_views_labelled_images_are_read_alone():
    data = digits()
    views, labels = next(iter(data.semi_supervised(4, 2, 3, unlabeled_views=())))
    images, expected = next(iter(data.labeled(4, 3)))
    assert set(views) == {"image"}
    np.testing.assert_array_equal(views["image"], images)
    np.testing.assert_array_equal(labels, expected)


def test_views_that_do_not_exist_are_refused():
    data = digits()
    for views in (("weak", "labeled"), ("weak", "weak")):
        with pytest.raises(ValueError, match="some of: weak, strong, weak2, strong2"):
            data.semi_supervised(4, 2, unlabeled_views=views)
    for ask in (
        lambda: data.labeled(4, view="strong2"),
        lambda: data.semi_supervised(4, 2, labeled_view="strong2"),
    ):
        with pytest.raises(ValueError, match="one of: labeled, weak. Received"):
            ask()
