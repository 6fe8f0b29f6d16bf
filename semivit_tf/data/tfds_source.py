"""Images of a data set that TensorFlow Datasets (TFDS) prepared, by index.

Nothing is downloaded here: the data set must lie in `data_dir`. Images stay in its
files and are read one by one, in any order. The first use finds their positions and
labels in one pass over the files, and keeps them in the user's cache folder.
"""

import bisect
import dataclasses
import hashlib
import itertools
import os
from concurrent import futures

import numpy as np
import tensorflow as tf

from semivit_tf.data import array_record_shard, tfds_builder, tfrecord_shard
from semivit_tf.data.array_cache import cached_array
from semivit_tf.data.encoded_source import EncodedSource

# Which split is which part of a data set. ImageNet and iNaturalist published their
# `test` images without labels.
RECIPES = {
    "cifar10": {"train": "train", "test": "test"},
    "cifar100": {"train": "train", "test": "test"},
    "food101": {"train": "train", "test": "validation"},
    "i_naturalist2017": {"train": "train", "test": "validation"},
    "i_naturalist2018": {"train": "train", "test": "validation"},
    "i_naturalist2021": {"train": "train", "test": "val"},
    "imagenet2012": {"train": "train", "test": "validation"},
    "imagenet2012_subset/10pct": {"train": "train", "test": "validation"},
    "imagenet2012_subset/1pct": {"train": "train", "test": "validation"},
    "stl10": {"train": "train", "test": "test", "unlabeled": "unlabelled"},
}
# How the shards of a format are scanned and read.
FORMATS = {"array_record": array_record_shard, "tfrecord": tfrecord_shard}
_THREADS = 16


@dataclasses.dataclass(frozen=True)
class TFDSParts:
    """The sources of one data set; None where it lacks that part."""

    train: "TFDSSource"
    test: "TFDSSource"
    validation: "TFDSSource | None" = None
    unlabeled: "TFDSSource | None" = None


def load_tfds(name, data_dir=None, progress=None):
    """Opens a prepared TFDS data set by name.

    A data set without a row in `RECIPES` is read by its splits `train`, `test` and, if
    there is one, `validation`. Without `test`, `validation` holds the test images.

    Args:
        name: String as for `tfds.load`, such as `"cifar10"`,
            `"imagenet2012_subset/1pct"` or `"food101:2.0.0"`.
        data_dir: Optional path; defaults to that of TFDS.
        progress: See `TFDSSource`.

    Returns:
        A `TFDSParts`.
    """
    builder = tfds_builder.open_builder(name, data_dir)
    splits = _splits(builder)
    test = TFDSSource(builder, splits.pop("test"), progress)
    if not (test.labels >= 0).any():
        raise ValueError(
            f"The test images {test.title} should have labels. Received: none"
        )
    others = {
        part: TFDSSource(builder, split, progress) for part, split in splits.items()
    }
    return TFDSParts(test=test, **others)


class TFDSSource(EncodedSource):
    """Random access to the encoded images of one split, in the order of its files.

    Args:
        builder: `tfds.core.DatasetBuilder` of a prepared data set. If it has several
            image or class features, those called `image` and `label` are used.
        split: String. Name of a split.
        progress: Optional function `(done, total)` of records, called while labels are
            read for the first time.
    """

    def __init__(self, builder, split, progress=None):
        image = tfds_builder.image_feature(builder)
        label, class_names = tfds_builder.label_feature(builder)
        self.title = f"{tfds_builder.title(builder)}/{split}"
        self._format = _format(builder)
        self._shards = tfds_builder.shards(builder, split)
        counts = [count for _, count in self._shards]
        self._firsts = [0, *itertools.accumulate(counts)]
        self._table = cached_array(
            self._cache_name(builder, image, label),
            lambda: self._scan(image, label, progress),
            lambda table: self._is_right(table, len(class_names)),
        )
        if not self._is_right(self._table, len(class_names)):
            raise ValueError(
                f"The labels of {self.title} should be -1 or below the number of "
                f"classes, {len(class_names)}. Received: {self._table[:, 2].min()} to "
                f"{self._table[:, 2].max()}"
            )
        super().__init__(self._table[:, 2], class_names)

    def name(self, index):
        return f"{self.title}[{index}]"

    def contents(self, index):
        contents = tf.numpy_function(self._read, [index], tf.string, stateful=False)
        return tf.ensure_shape(contents, ())

    def _read(self, index):
        # tf.data would take an IndexError for the end of the stream.
        if not 0 <= index < len(self):
            raise ValueError(
                f"`index` should be in [0, {len(self)}). Received: {index}"
            )
        shard = bisect.bisect_right(self._firsts, index) - 1
        path, position = self._shards[shard][0], int(index) - self._firsts[shard]
        start, size, _ = self._table[index].tolist()
        contents = self._format.read(path, position, start, size)
        if len(contents) != size:
            raise ValueError(f"{path} changed while it was in use")
        return contents

    def _scan(self, image, label, progress):
        """Returns int64 `[N, 3]`: where each image starts, its size, and its label."""

        def scan(path, count):
            return self._format.scan(path, count, image, label)

        tables = [np.empty((0, 3), np.int64)]
        with futures.ThreadPoolExecutor(_THREADS) as pool:
            for table in pool.map(scan, *zip(*self._shards, strict=True)):
                tables.append(table)
                if progress is not None:
                    progress(self._firsts[len(tables) - 1], self._firsts[-1])
        return np.concatenate(tables)

    def _is_right(self, table, num_classes):
        return (
            table.dtype == np.int64
            and table.shape == (self._firsts[-1], 3)
            and bool((table >= (0, 0, -1)).all())
            and bool((table[:, 2] < num_classes).all())
        )

    def _cache_name(self, builder, image, label):
        """Returns a name that changes with the data set and with its files."""
        parts = [builder.info.full_name, image, label]
        for path, count in self._shards:
            status = os.stat(path)
            file = os.path.basename(path)
            parts.append(f"{file} {count} {status.st_size} {status.st_mtime_ns}")
        key = hashlib.sha256("\n".join(parts).encode()).hexdigest()[:16]
        return f"tfds/{self.title.replace('/', '-')}-{key}"


def _splits(builder):
    """Returns a dict of part to split."""
    title, available = tfds_builder.title(builder), sorted(builder.info.splits)
    if title in RECIPES:
        splits = dict(RECIPES[title])
    elif "test" in available:
        splits = {"train": "train", "test": "test"}
        if "validation" in available:
            splits["validation"] = "validation"
    else:
        splits = {"train": "train", "test": "validation"}
    if not set(splits.values()) <= set(available):
        raise ValueError(
            f"The TFDS data set {title!r} should have the splits "
            f"{sorted(splits.values())}. Received: {available}"
        )
    return splits


def _format(builder):
    name = builder.info.file_format.value
    if name not in FORMATS:
        raise ValueError(
            f"The files of {tfds_builder.title(builder)!r} should be "
            f"{' or '.join(FORMATS)}; `tfds convert_format` helps. Received: {name}"
        )
    return FORMATS[name]
