"""Finding the image and the label of examples, against TensorFlow's own serializer."""

import numpy as np
import pytest
import tensorflow as tf

from semivit_tf.data.example_proto import image_and_label


def feature(value):
    if isinstance(value, bytes):
        return tf.train.Feature(bytes_list=tf.train.BytesList(value=[value]))
    if isinstance(value, float):
        return tf.train.Feature(float_list=tf.train.FloatList(value=[value]))
    value = [value] if isinstance(value, int) else value
    return tf.train.Feature(int64_list=tf.train.Int64List(value=value))


def serialized(**values):
    features = {name: feature(value) for name, value in values.items()}
    example = tf.train.Example(features=tf.train.Features(feature=features))
    return example.SerializeToString()


def found(record, before=b"", after=b""):
    """Returns the image bytes and the label of a record that lies inside a file."""
    file = before + record + after
    start, size, label = image_and_label(
        lambda start, size: file[start : start + size],
        len(before),
        len(before) + len(record),
        "image",
        "label",
    )
    assert len(before) <= start <= start + size <= len(before) + len(record)
    return file[start : start + size], label


@pytest.mark.parametrize("label", [0, 1, 127, 128, 999, 2**40, 2**63 - 1, -1, -(2**63)])
def test_labels_of_any_size_are_found(label):
    record = serialized(image=b"pixels", label=label, name=b"x", area=0.5)
    assert found(record) == (b"pixels", label)
    assert found(record, before=b"\x0a\x05", after=b"\xff" * 9) == (b"pixels", label)


@pytest.mark.parametrize("size", [0, 1, 127, 128, 20_000, 3_000_000])
def test_images_of_any_size_are_found(size):
    image = np.random.default_rng(0).bytes(size)
    assert found(serialized(image=image, label=7)) == (image, 7)


def test_fields_may_come_in_any_order_and_number():
    parts = [
        serialized(**{name: value})
        for name, value in (("label", 5), ("image", b"pixels"), ("box", [1, 2, 3]))
    ]
    assert found(b"".join(parts)) == (b"pixels", 5)
    assert found(b"".join(reversed(parts))) == (b"pixels", 5)


def test_a_list_that_is_not_packed_is_read_likewise():
    # Feature { int64_list { value: 300 } }
    values = b"\x08\xac\x02"
    value = b"\x1a" + bytes([len(values)]) + values
    entry = b"\x0a\x05label\x12" + bytes([len(value)]) + value
    features = b"\x0a" + bytes([len(entry)]) + entry
    record = b"\x0a" + bytes([len(features)]) + features
    parsed = tf.train.Example.FromString(record).features.feature["label"]
    assert parsed.int64_list.value == [300]
    assert found(record + serialized(image=b"pixels")) == (b"pixels", 300)


def test_no_label_is_minus_one():
    assert found(serialized(image=b"pixels")) == (b"pixels", -1)
    assert found(serialized(image=b"pixels", label=[])) == (b"pixels", -1)


def test_no_image_is_an_error():
    with pytest.raises(ValueError, match=r"image 'image'. Received: features \['a', "):
        found(serialized(a=1, label=2))
    with pytest.raises(ValueError, match="should have an image"):
        found(serialized(image=3, label=2))


def test_broken_records_are_errors_or_smaller_examples_but_nothing_else():
    record = serialized(image=b"some pixels", label=300, name=b"x")
    generator, errors = np.random.default_rng(0), 0
    for trial in range(2000):
        broken = bytearray(record[: generator.integers(1, len(record) + 1)])
        if trial % 2:
            broken[generator.integers(len(broken))] = generator.integers(256)
        try:
            image, _ = found(bytes(broken))
            assert image in broken
        except ValueError:
            errors += 1
    assert errors > 1000
