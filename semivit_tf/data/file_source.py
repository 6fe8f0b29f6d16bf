"""Images in files of their own."""

import os

import numpy as np
import tensorflow as tf

from semivit_tf.data.encoded_source import EncodedSource
from semivit_tf.one_line import one_line


class FileSource(EncodedSource):
    """Random access to image files.

    Args:
        root: Folder that paths are relative to.
        paths: Sequence of N relative paths.
        labels: See `EncodedSource`; so are the next two.
        class_names: Sequence of K strings.
        groups: Optional integer array.
    """

    def __init__(self, root, paths, labels, class_names, groups=None):
        super().__init__(labels, class_names, groups)
        self.root = os.fspath(root)
        self._start = os.fsencode(self.root) + b"/"
        # Bytes, because the name of a file need not be valid text.
        self._paths = tf.constant([os.fsencode(path) for path in paths], tf.string)

    def name(self, index):
        return _readable(self._paths[int(index)].numpy())

    def names(self):
        return [_readable(path) for path in self._paths.numpy()]

    def contents(self, index):
        return tf.io.read_file(self._start + self._paths[index])


def _readable(path):
    return one_line(os.fsdecode(path))


def numbered_groups(names):
    """Returns an integer for each different name; an empty one is a group itself."""
    names = np.asarray(names, dtype=str)
    _, numbers = np.unique(names, return_inverse=True)
    alone = names == ""
    numbers[alone] = numbers.max(initial=0) + 1 + np.arange(alone.sum())
    return numbers
