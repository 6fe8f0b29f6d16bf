"""Sources with other labels, and with generated images at the end."""

import numpy as np
import tensorflow as tf

from semivit_tf.data.array_source import ArraySource
from semivit_tf.data.made_sources import EncodedArray, extended, relabeled

IMAGES = np.random.default_rng(0).integers(0, 256, (5, 4, 6, 3), "uint8")
LABELS = np.array([0, 1, -1, 1, 0])
NAMES = ("cat", "dog")


def test_other_labels_leave_the_source_as_it_was():
    source = ArraySource(IMAGES, LABELS, NAMES)
    other = relabeled(source, [1, 1, 1, -1, 0])
    np.testing.assert_array_equal(other.labels, [1, 1, 1, -1, 0])
    np.testing.assert_array_equal(source.labels, LABELS)
    assert other.images is source.images and len(other) == 5


def test_arrays_are_joined_as_arrays():
    source = extended(ArraySource(IMAGES[:3], LABELS[:3], NAMES), IMAGES[3:], [0, 0])
    np.testing.assert_array_equal(source.images, IMAGES)
    np.testing.assert_array_equal(source.labels, [0, 1, -1, 0, 0])


def test_images_are_joined_to_files_as_the_contents_of_files():
    files = EncodedArray(IMAGES[:3], LABELS[:3], NAMES)
    source = extended(files, IMAGES[3:], [0, 0])
    np.testing.assert_array_equal(source.labels, [0, 1, -1, 0, 0])
    contents = tf.function(lambda index: tf.io.decode_png(source.contents(index)))
    for index in range(5):
        found = contents(tf.constant(index, tf.int64))
        np.testing.assert_array_equal(found, IMAGES[index])
    assert source.name(4) == "generated image 1"
