"""Sources of TFDS data sets against the reader of TFDS itself, in both its formats."""

import json
import os
import pathlib
import sys
import tracemalloc

import numpy as np
import pytest
import tensorflow as tf
import tensorflow_datasets as tfds

from semivit_tf.data import tfrecord_shard
from semivit_tf.data.tfds_source import FORMATS, RECIPES, TFDSSource, load_tfds
from tests.data.tfds_files import IMAGE, LABEL, examples, images, prepare

BOTH_FORMATS = pytest.mark.parametrize("file_format", sorted(FORMATS))


@pytest.fixture(autouse=True)
def cache(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    return tmp_path / "cache" / "semivit_tf" / "tfds"


def decode(contents):
    """Decodes as TFDS does, which is a little less exact than this package."""
    return tf.image.decode_image(contents, 3, expand_animations=False)


def by_tfds(builder, split):
    """Returns the `(pixels, label)` pairs that TFDS itself reads, in file order."""
    if builder.info.file_format.value == "tfrecord":
        in_order = tfds.ReadConfig(interleave_cycle_length=1)
        data = builder.as_dataset(split, shuffle_files=False, read_config=in_order)
        return [(e["image"], e["label"]) for e in data.as_numpy_iterator()]
    # Here TFDS would decode with Pillow, whose JPEG pixels are up to 5 off.
    encoded = {"image": tfds.decode.SkipDecoding()}
    data = builder.as_data_source(split, decoders=encoded)
    return [(tf.image.decode_image(e["image"], 3), e["label"]) for e in data]


def assert_equal(source, expected):
    assert len(source) == len(expected) > 0
    for index, (pixels, label) in enumerate(expected):
        read = decode(source.contents(tf.constant(index, tf.int64)))
        np.testing.assert_array_equal(read, pixels)
        assert source.labels[index] == label


# === What is read ===


@BOTH_FORMATS
def test_images_and_labels_are_those_of_tfds_in_file_order(tmp_path, file_format):
    splits = {"train": examples(40), "test": examples(7, seed=1)}
    builder = prepare(tmp_path, "cifar10", splits, file_format)
    assert builder.info.splits["train"].shard_lengths == [13, 14, 13]
    parts = load_tfds("cifar10", tmp_path)
    assert_equal(parts.train, by_tfds(builder, "train"))
    assert_equal(parts.test, by_tfds(builder, "test"))
    assert parts.validation is None and parts.unlabeled is None
    assert parts.train.class_names == ("cat", "dog", "eel", "fox")
    assert parts.train.labels.dtype == np.int32
    assert np.bincount(parts.train.labels).tolist() == [10, 10, 10, 10]
    assert parts.train.name(17) == "cifar10/train[17]"


@BOTH_FORMATS
def test_contents_are_the_bytes_that_were_given_in_any_order(tmp_path, file_format):
    splits = {"train": examples(31), "test": examples(3)}
    prepare(tmp_path, "cifar10", splits, file_format)
    source = load_tfds("cifar10", tmp_path).train
    order = np.random.default_rng(0).permutation(np.tile(np.arange(31), 4))
    stream = tf.data.Dataset.from_tensor_slices(order)
    stream = stream.map(lambda i: (i, source.contents(i)), num_parallel_calls=4)
    read = {}
    for index, contents in stream.as_numpy_iterator():
        assert read.setdefault(index, contents) == contents
    assert sorted(read) == list(range(31))
    given = {example["image"] for example in splits["train"]}
    assert set(read.values()) == given
    assert sum(contents.endswith(bytes(9)) for contents in given) == 10


@BOTH_FORMATS
def test_an_index_outside_is_an_error_and_not_the_end(tmp_path, file_format):
    prepare(
        tmp_path, "cifar10", {"train": examples(4), "test": examples(4)}, file_format
    )
    source = load_tfds("cifar10", tmp_path).train
    for index in (4, -1):
        stream = tf.data.Dataset.from_tensors(index).map(source.contents)
        with pytest.raises(tf.errors.InvalidArgumentError, match=r"in \[0, 4\)"):
            list(stream)


@BOTH_FORMATS
def test_images_are_not_held_in_memory(tmp_path, file_format):
    generator = np.random.default_rng(0)
    many = [{"image": generator.bytes(400_000), "label": 0} for _ in range(60)]
    builder = prepare(
        tmp_path, "cifar10", {"train": many, "test": examples(3)}, file_format
    )
    TFDSSource(builder, "test")  # Imports what is imported once.
    tracemalloc.start()
    source = TFDSSource(builder, "train")
    for index in range(60):
        assert source.contents(tf.constant(index, tf.int64)).numpy() != b""
    now, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert len(source) == 60 and now < 400_000
    if file_format == "tfrecord":  # Labels are found without reading the images.
        assert peak < 4 * 400_000


# === Which split is what ===


def test_stl10_has_images_without_labels(tmp_path):
    unlabelled = [{"image": image, "label": -1} for image in images(11, seed=2)]
    splits = {"train": examples(5), "test": examples(6, 1), "unlabelled": unlabelled}
    builder = prepare(tmp_path, "stl10", splits)
    parts = load_tfds("stl10", tmp_path)
    assert parts.unlabeled.labels.tolist() == [-1] * 11
    assert_equal(parts.unlabeled, by_tfds(builder, "unlabelled"))
    assert (len(parts.train), len(parts.test), parts.validation) == (5, 6, None)


def test_imagenet_is_tested_on_its_validation_images(tmp_path):
    hidden = [{"image": image, "label": -1} for image in images(5)]
    splits = {"train": examples(9), "validation": examples(6, 1), "test": hidden}
    prepare(tmp_path, "imagenet2012", splits)
    parts = load_tfds("imagenet2012", tmp_path)
    assert parts.test.name(0) == "imagenet2012/validation[0]"
    assert (len(parts.train), len(parts.test), parts.validation) == (9, 6, None)


@pytest.mark.parametrize("percent", ["1pct", "10pct"])
def test_a_subset_of_imagenet_is_found_by_its_configuration(tmp_path, percent):
    splits = {"train": examples(9), "validation": examples(6, 1)}
    builder = prepare(tmp_path, "imagenet2012_subset", splits, config=percent)
    parts = load_tfds(f"imagenet2012_subset/{percent}", tmp_path)
    assert_equal(parts.train, by_tfds(builder, "train"))
    assert_equal(parts.test, by_tfds(builder, "validation"))
    assert parts.train.name(2) == f"imagenet2012_subset/{percent}/train[2]"
    assert f"imagenet2012_subset/{percent}" in RECIPES


def test_inaturalist_is_tested_on_val(tmp_path):
    splits = {name: examples(4 + i) for i, name in enumerate(("train", "mini", "val"))}
    prepare(tmp_path, "i_naturalist2021", splits)
    parts = load_tfds("i_naturalist2021", tmp_path)
    assert (len(parts.train), len(parts.test)) == (4, 6)


def test_the_fine_label_of_cifar100_is_meant(tmp_path):
    features = {
        "coarse_label": tfds.features.ClassLabel(names=["pet", "wild"]),
        "id": tfds.features.Text(),
        "image": tfds.features.Image(shape=(6, 6, 3)),
        "label": LABEL,
    }
    generator = np.random.default_rng(0)
    train = [
        {
            "image": generator.integers(0, 256, (6, 6, 3), "uint8"),
            "label": number % 4,
            "coarse_label": number % 2,
            "id": f"train_{number}",
        }
        for number in range(12)
    ]
    builder = prepare(
        tmp_path, "cifar100", {"train": train, "test": train}, features=features
    )
    source = load_tfds("cifar100", tmp_path).train
    assert source.class_names == ("cat", "dog", "eel", "fox")
    assert_equal(source, by_tfds(builder, "train"))


def test_any_other_data_set_is_read_by_its_splits_and_features(tmp_path):
    features = {"picture": IMAGE, "animal": tfds.features.ClassLabel(num_classes=4)}

    def renamed(count):
        return [
            {"picture": example["image"], "animal": example["label"]}
            for example in examples(count)
        ]

    splits = {"train": renamed(5), "validation": renamed(6), "test": renamed(7)}
    prepare(tmp_path, "zoo", splits, features=features)
    parts = load_tfds("zoo", tmp_path)
    assert [len(s) for s in (parts.train, parts.validation, parts.test)] == [5, 6, 7]
    assert parts.train.class_names == ("0", "1", "2", "3")
    del splits["test"]
    prepare(tmp_path, "park", splits, features=features)
    parts = load_tfds("park", tmp_path)
    assert (len(parts.test), parts.validation) == (6, None)


# === What is kept ===


def forbidden(*arguments):
    raise AssertionError("scanned again")


@BOTH_FORMATS
def test_files_are_scanned_once(tmp_path, cache, monkeypatch, file_format):
    splits = {"train": examples(20), "test": examples(7)}
    builder = prepare(tmp_path, "cifar10", splits, file_format)
    told = []
    load_tfds("cifar10", tmp_path, progress=lambda *done: told.append(done))
    lengths = builder.info.splits["train"].shard_lengths
    sums = np.cumsum(lengths).tolist()
    assert told[-3:] == [(done, 20) for done in sums]
    assert len(list(cache.iterdir())) == 2
    monkeypatch.setattr(FORMATS[file_format], "scan", forbidden)
    assert_equal(load_tfds("cifar10", tmp_path).train, by_tfds(builder, "train"))


@BOTH_FORMATS
def test_a_data_set_that_was_made_anew_is_scanned_anew(tmp_path, file_format):
    for number in range(2):
        # Only the labels differ, so that all sizes are the same.
        labels = (number, number + 1)
        splits = {"train": examples(20, labels=labels), "test": examples(4)}
        if number:
            (tmp_path / "cifar10").rename(tmp_path / "old")
        builder = prepare(tmp_path, "cifar10", splits, file_format)
        source = load_tfds("cifar10", tmp_path).train
        assert set(source.labels.tolist()) == set(labels)
        assert_equal(source, by_tfds(builder, "train"))


@pytest.mark.parametrize("wrong", ["torn", "short", "label"])
def test_a_wrong_cache_is_made_again(tmp_path, cache, wrong):
    builder = prepare(tmp_path, "cifar10", {"train": examples(20), "test": examples(4)})
    load_tfds("cifar10", tmp_path)
    (path,) = cache.glob("cifar10-train-*.npy")
    table = np.load(path)
    if wrong == "torn":
        path.write_bytes(path.read_bytes()[:-8])
    elif wrong == "short":
        np.save(path, table[:-1])
    else:
        table[3, 2] = 4
        np.save(path, table)
    assert_equal(load_tfds("cifar10", tmp_path).train, by_tfds(builder, "train"))
    np.testing.assert_array_equal(np.load(path)[:3], table[:3])


# === What is refused, in one line ===


def refusal(name, data_dir):
    with pytest.raises(ValueError) as caught:
        load_tfds(name, data_dir)
    message = str(caught.value)
    assert "\n" not in message
    return message


def test_a_data_set_that_was_not_prepared_is_refused(tmp_path):
    message = refusal("food101", tmp_path)
    assert f"`tfds build food101 --data_dir={tmp_path}`" in message
    assert f"no folder {tmp_path}/food101" in message
    prepare(tmp_path, "cifar10", {"train": examples(4), "test": examples(4)})
    assert "cifar10 with ['3.0.2']" in refusal("cifar10:1.0.0", tmp_path)
    assert "cannot be opened" in refusal("no name at all!", tmp_path)
    (tmp_path / "cifar10/3.0.2/features.json").write_text("{")
    assert "cannot be opened" in refusal("cifar10", tmp_path)


def test_other_splits_are_refused(tmp_path):
    prepare(tmp_path, "stl10", {"train": examples(4), "test": examples(4)})
    assert "'unlabelled']. Received: ['test', 'train']" in refusal("stl10", tmp_path)
    builder = prepare(tmp_path, "zoo", {"train": examples(4)})
    assert "['test', 'train']" not in refusal("zoo", tmp_path)
    assert "['train', 'validation']. Received: ['train']" in refusal("zoo", tmp_path)
    with pytest.raises(ValueError, match="one of .'train'.. Received: 'test'"):
        TFDSSource(builder, "test")


def test_a_test_without_labels_is_refused(tmp_path):
    hidden = [{"image": image, "label": -1} for image in images(5)]
    prepare(tmp_path, "zoo", {"train": examples(4), "test": hidden})
    assert "zoo/test should have labels" in refusal("zoo", tmp_path)


@pytest.mark.parametrize(
    "features, expected",
    [
        ({"image": IMAGE, "text": tfds.features.Text()}, "one ClassLabel feature"),
        ({"left": IMAGE, "right": IMAGE, "label": LABEL}, "one Image feature"),
        ({"image": tfds.features.Image(dtype=np.uint16), "label": LABEL}, "be uint8"),
    ],
)
def test_other_features_are_refused(tmp_path, features, expected):
    (image,) = images(1)
    values = {"text": "text", "label": 1}
    example = {name: values.get(name, image) for name in features}
    splits = {"train": [example] * 4, "test": [example] * 4}
    prepare(tmp_path, "zoo", splits, features=features)
    assert expected in refusal("zoo", tmp_path)


def test_labels_beyond_the_classes_are_refused(tmp_path):
    prepare(tmp_path, "zoo", {"train": examples(4), "test": examples(4)})
    names = next((tmp_path / "zoo/3.0.2").glob("label.labels.txt"))
    names.write_text("cat\ndog\neel\n")
    features = tmp_path / "zoo/3.0.2/features.json"
    text = json.loads(features.read_text())
    text["featuresDict"]["features"]["label"]["classLabel"]["numClasses"] = "3"
    features.write_text(json.dumps(text))
    assert "classes, 3. Received: 0 to 3" in refusal("zoo", tmp_path)


@BOTH_FORMATS
@pytest.mark.parametrize("damage", ["half", "byte", "empty", "missing", "record"])
def test_a_damaged_file_is_refused_by_name(tmp_path, file_format, damage):
    splits = {"train": examples(20), "test": examples(4)}
    builder = prepare(tmp_path, "cifar10", splits, file_format)
    path = pathlib.Path(builder.info.splits["train"].filepaths[1])
    whole = path.read_bytes()
    if damage == "missing":
        path.unlink()
    elif damage == "record":
        path.write_bytes(builder.info.splits["train"].filepaths[0].read_bytes())
    else:
        end = {"half": len(whole) // 2, "byte": -1, "empty": 0}[damage]
        path.write_bytes(whole[:end])
    assert str(path) in refusal("cifar10", tmp_path)


def test_a_file_that_shrinks_during_a_run_is_an_error(tmp_path):
    builder = prepare(tmp_path, "cifar10", {"train": examples(9), "test": examples(4)})
    source = load_tfds("cifar10", tmp_path).train
    path = str(builder.info.splits["train"].filepaths[0])
    os.truncate(path, 40)
    with pytest.raises(tf.errors.InvalidArgumentError, match="changed while"):
        list(tf.data.Dataset.range(1).map(source.contents))


def test_other_formats_are_refused(tmp_path):
    prepare(tmp_path, "zoo", {"train": examples(4), "test": examples(4)})
    info = tmp_path / "zoo/3.0.2/dataset_info.json"
    info.write_text(info.read_text().replace('"tfrecord"', '"riegeli"'))
    message = refusal("zoo", tmp_path)
    assert "array_record or tfrecord" in message and "riegeli" in message


def test_missing_packages_are_named(tmp_path, monkeypatch):
    splits = {"train": examples(4), "test": examples(4)}
    prepare(tmp_path, "zoo", splits, "array_record")
    module = "array_record.python.array_record_data_source"
    with monkeypatch.context() as patch:
        patch.setitem(sys.modules, module, None)
        assert "pip install array_record" in refusal("zoo", tmp_path)
    monkeypatch.setitem(sys.modules, "tensorflow_datasets", None)
    assert "pip install tensorflow-datasets" in refusal("zoo", tmp_path)


# === The TFRecord format ===


def test_records_of_all_sizes_are_walked(tmp_path):
    generator = np.random.default_rng(0)
    sizes = [0, 1, 4000, 4096, 5000, 100_000, 3, 8192]
    path, written = str(tmp_path / "a.tfrecord"), []
    with tf.io.TFRecordWriter(path) as writer:
        for number, size in enumerate(sizes):
            written.append(generator.bytes(size))
            feature = {
                "image": tf.train.Feature(
                    bytes_list=tf.train.BytesList(value=written[-1:])
                ),
                "label": tf.train.Feature(
                    int64_list=tf.train.Int64List(value=[number])
                ),
            }
            features = tf.train.Features(feature=feature)
            writer.write(tf.train.Example(features=features).SerializeToString())
    table = tfrecord_shard.scan(path, len(sizes), "image", "label")
    np.testing.assert_array_equal(table[:, 1:], list(zip(sizes, range(8), strict=True)))
    read = [tfrecord_shard.read(path, 0, start, size) for start, size, _ in table]
    assert read == written
    for count in (7, 9):
        with pytest.raises(ValueError, match=f"TFRecord file of {count} whole"):
            tfrecord_shard.scan(path, count, "image", "label")
