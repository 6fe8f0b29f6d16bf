"""Two `tf.data` data sets become semi-supervised batches."""

import keras
import numpy as np
import pytest
import tensorflow as tf

import semivit_tf
from semivit_tf.methods.fixmatch import FixMatch
from semivit_tf.methods.semi_vit import SemiViT
from tests.methods.small import small_vit


def images(count, size=8, channels=1):
    shape = (count, size, size, channels)
    return np.random.default_rng(0).integers(0, 256, shape).astype("uint8")


def labeled(count=5):
    data = (images(count), np.arange(count, dtype="int32") % 3)
    return tf.data.Dataset.from_tensor_slices(data)


def unlabeled(count=20):
    return tf.data.Dataset.from_tensor_slices(images(count))


def read(data):
    return [
        ({name: value.numpy() for name, value in views.items()}, label.numpy())
        for views, label in data
    ]


def test_an_epoch_is_a_pass_over_the_unlabelled_images():
    data = semivit_tf.pair_datasets(labeled(), unlabeled(), 2, 3, augmentation="none")
    first, second, third = read(data)
    for name in ("weak", "strong"):
        shown = np.concatenate([b[0][name] for b in (first, second, third)])
        np.testing.assert_array_equal(shown, images(20)[:18])  # 2 are no batch
    learned = np.concatenate([b[0]["image"] for b in (first, second, third)])
    np.testing.assert_array_equal(learned, images(5)[[0, 1, 2, 3, 4, 0]])
    np.testing.assert_array_equal(
        np.concatenate([b[1] for b in (first, second, third)]), [0, 1, 2, 0, 1, 0]
    )
    assert set(first[0]) == {"image", "weak", "strong"}
    views, label = data.element_spec
    assert views["weak"].shape == (6, 8, 8, 1) and label.shape == (2,)


def test_batched_floats_give_the_same_as_single_bytes():
    def as_floats(image, *label):
        return (tf.cast(image, tf.float32) + 0.3, *label)

    options = {"batch_size": 2, "unlabeled_per_labeled": 3, "augmentation": "small"}
    single = semivit_tf.pair_datasets(labeled(), unlabeled(), **options)
    batched = semivit_tf.pair_datasets(
        labeled().map(as_floats).batch(3),
        unlabeled().map(lambda image: as_floats(image)[0]).batch(7),
        **options,
    )
    for one, other in zip(read(single), read(batched), strict=True):
        keras.tree.map_structure(np.testing.assert_array_equal, one, other)


def test_views_differ_from_each_other_and_from_epoch_to_epoch():
    def make(seed):
        return semivit_tf.pair_datasets(labeled(), unlabeled(), 4, 5, seed=seed)

    data = make(0)
    [(first, _)], [(second, _)], [(other, _)] = read(data), read(data), read(make(1))
    for name in ("image", "weak", "strong"):
        assert (first[name] != second[name]).mean() > 0.1
        assert (first[name] != other[name]).mean() > 0.1
    assert (first["weak"] != first["strong"]).mean() > 0.1
    [(again, _)] = read(make(0))
    np.testing.assert_array_equal(again["strong"], first["strong"])


def test_second_views_are_other_draws_of_the_same_images():
    names = ("weak", "weak2", "strong2", "strong")
    make = semivit_tf.pair_datasets
    plain = make(
        labeled(), unlabeled(), 4, 5, augmentation="none", unlabeled_views=names
    )
    [(views, _)] = read(plain)
    assert set(views) == {"image", *names}
    for name in names:
        np.testing.assert_array_equal(views[name], images(20))
    drawn = make(labeled(), unlabeled(), 4, 5, unlabeled_views=names)
    [(views, _)], [(next_epoch, _)] = read(drawn), read(drawn)
    for name, second in (("weak", "weak2"), ("strong", "strong2")):
        assert (views[name] != views[second]).mean() > 0.1
        assert (views[second] != next_epoch[second]).mean() > 0.1
    [(again, _)] = read(make(labeled(), unlabeled(), 4, 5))
    for name in ("weak", "strong"):
        np.testing.assert_array_equal(again[name], views[name])


def test_known_labels_of_unlabelled_images_are_kept_for_diagnostics():
    data = semivit_tf.pair_datasets(labeled(), labeled(6), 2, 3, augmentation="none")
    [(views, _)] = read(data)
    np.testing.assert_array_equal(views["unlabeled_label"], np.arange(6) % 3)


@pytest.mark.parametrize("method", [SemiViT, FixMatch])
def test_folders_read_by_keras_are_learned(tmp_path, method):
    for label, level in (("cat", 40), ("dog", 200)):
        for number in range(6):
            folder = tmp_path / ("labeled" if number < 2 else "unlabeled") / label
            folder.mkdir(parents=True, exist_ok=True)
            pixels = np.full((9, 11, 3), level + number, "uint8")
            keras.utils.save_img(folder / f"{number}.png", pixels, scale=False)
    options = {"image_size": (12, 12), "batch_size": 3, "seed": 0, "verbose": False}
    read_folder = keras.utils.image_dataset_from_directory
    first = read_folder(tmp_path / "labeled", **options)
    second = read_folder(tmp_path / "unlabeled", labels=None, **options)
    model = method(small_vit(channels=3), 2)
    data = semivit_tf.pair_datasets(
        first,
        second,
        2,
        2,
        image_size=(8, 8),
        unlabeled_views=model.unlabeled_views,
        labeled_view=model.labeled_view,
    )
    model.compile(keras.optimizers.AdamW(3e-3))
    test = first.map(lambda image, label: (tf.image.resize(image, (8, 8)), label))
    history = model.fit(data, epochs=2, validation_data=test, verbose=0).history
    assert len(read(data)) == len(read(data)) == 2
    assert np.isfinite(history["loss"]).all() and "val_accuracy" in history


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"labeled": unlabeled()}, r"data set of \(image, label\)"),
        ({"unlabeled": unlabeled(9)}, "at least the 10 images of a batch.*Received: 9"),
        ({"unlabeled": labeled().map(lambda x, y: y)}, r"images \[H, W, C\]"),
        ({"unlabeled_views": ("weak", "pretrain")}, "`unlabeled_views` should be"),
        ({"labeled_view": "strong"}, "`labeled_view` one of labeled, weak"),
        (
            {
                "unlabeled": tf.data.Dataset.from_generator(
                    lambda: iter(images(20)),
                    output_signature=tf.TensorSpec((None, None, 1), tf.uint8),
                )
            },
            "images of one size",
        ),
    ],
)
def test_what_is_no_pair_is_refused(change, message):
    arguments = {"labeled": labeled(), "unlabeled": unlabeled(), "batch_size": 2}
    with pytest.raises(ValueError, match=message):
        semivit_tf.pair_datasets(**{**arguments, **change})
