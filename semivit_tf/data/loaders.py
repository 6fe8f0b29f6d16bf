"""The loader of each data set, by name."""

import numpy as np

from semivit_tf.data.csv_list import load_csv
from semivit_tf.data.digits import load_digits
from semivit_tf.data.folder import load_folder
from semivit_tf.data.idx_files import load_idx
from semivit_tf.data.joined_source import JoinedSource
from semivit_tf.data.npz_file import load_npz
from semivit_tf.data.parts import Parts
from semivit_tf.one_line import check_names

# Each returns `Parts` from (data_dir, class_names).
LOADERS = {
    "csv": load_csv,
    "digits": load_digits,
    "folder": load_folder,
    "idx": load_idx,
    "npz": load_npz,
}


def _load_prepared(name, data_dir):
    from semivit_tf.data.tfds_source import load_tfds

    found = load_tfds(name, data_dir)
    sources = [found.train]
    given = np.zeros(0, np.int64)
    if found.validation is not None:
        given = len(found.train) + np.arange(len(found.validation))
        sources.append(found.validation)
    if found.unlabeled is not None:
        sources.append(found.unlabeled)
    train = JoinedSource(sources) if len(sources) > 1 else found.train
    return Parts(train, found.test, given)


def load_parts(name, data_dir=None, class_names=None):
    """Returns the `Parts` of a data set by name, see `load_dataset`."""
    if name.startswith("tfds:"):
        parts = _load_prepared(name.removeprefix("tfds:"), data_dir)
    elif name in LOADERS:
        parts = LOADERS[name](data_dir, class_names)
    else:
        known = ", ".join([*sorted(LOADERS), "tfds:<name>"])
        raise ValueError(f"`dataset` should be one of: {known}. Received: {name!r}")
    check_names(parts.train.class_names)
    return parts
