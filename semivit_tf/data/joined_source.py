"""Several sources, one after the other, as one."""

import numpy as np
import tensorflow as tf

from semivit_tf.data.encoded_source import EncodedSource


class JoinedSource(EncodedSource):
    """Random access to the images of several encoded sources of the same classes.

    Args:
        sources: Sequence of `EncodedSource`.
    """

    def __init__(self, sources):
        self.sources = tuple(sources)
        labels = np.concatenate([source.labels for source in self.sources])
        super().__init__(labels, self.sources[0].class_names)
        lengths = [len(source) for source in self.sources]
        self._starts = np.concatenate([[0], np.cumsum(lengths)[:-1]]).astype("int64")

    def name(self, index):
        place = np.searchsorted(self._starts, index, side="right") - 1
        return self.sources[place].name(index - self._starts[place])

    def contents(self, index):
        place = tf.searchsorted(self._starts, index[None], side="right")[0] - 1
        start = tf.gather(self._starts, place)
        branches = [
            lambda source=source: source.contents(index - start)
            for source in self.sources
        ]
        return tf.switch_case(place, branches)
