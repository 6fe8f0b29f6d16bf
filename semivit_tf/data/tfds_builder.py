"""What a data set that TensorFlow Datasets (TFDS) prepared says about itself."""

import os

import tensorflow as tf


def import_tfds():
    """Imports TFDS, an optional package."""
    try:
        import tensorflow_datasets
    except ImportError:
        raise ValueError(
            "A TFDS data set needs a package: pip install tensorflow-datasets"
        ) from None
    return tensorflow_datasets


def open_builder(name, data_dir=None):
    """Opens a data set that was prepared on disk; nothing is downloaded.

    Args:
        name: String as for `tfds.load`.
        data_dir: Optional path; defaults to that of TFDS.

    Returns:
        A `tfds.core.DatasetBuilder`.
    """
    import_tfds()
    # `tfds.builder` would look for the data set's code, and on the network.
    from tensorflow_datasets.core.read_only_builder import builder_from_files
    from tensorflow_datasets.core.registered import DatasetNotFoundError

    place = os.path.expanduser(
        data_dir or os.environ.get("TFDS_DATA_DIR") or "~/tensorflow_datasets"
    )
    try:
        return builder_from_files(name, data_dir=place)
    except DatasetNotFoundError:
        raise ValueError(
            f"The TFDS data set {name!r} should have been prepared in {place}, by "
            f"`tfds build {name} --data_dir={place}`. Received: {_entries(place, name)}"
        ) from None
    except (
        Exception
    ) as error:  # Wrong names and broken files raise errors of many kinds.
        reason = next(iter(str(error).splitlines()), "")
        raise ValueError(
            f"The TFDS data set {name!r} in {place} cannot be opened: "
            f"{type(error).__name__} {reason}"
        ) from None


def title(builder):
    """Returns a data set's name, with its configuration if it has one."""
    return "/".join(filter(None, (builder.info.name, builder.info.config_name)))


def image_feature(builder):
    """Returns the name of the feature that is the image."""
    name = _feature(builder, import_tfds().features.Image, "image")
    dtype = tf.as_dtype(builder.info.features[name].dtype)
    if dtype != tf.uint8:
        raise ValueError(
            f"The images of the TFDS data set {title(builder)!r} should be uint8. "
            f"Received: {dtype.name}"
        )
    return name


def label_feature(builder):
    """Returns the name of the feature that is the label, and the class names."""
    name = _feature(builder, import_tfds().features.ClassLabel, "label")
    return name, tuple(builder.info.features[name].names)


def shards(builder, split):
    """Returns `(path, number of records)` of the files of a split, in their order."""
    splits = builder.info.splits
    if split not in list(splits):
        raise ValueError(
            f"`split` should be one of {sorted(splits)}. Received: {split!r}"
        )
    paths = [os.fspath(path) for path in splits[split].filepaths]
    for path in paths:
        if not os.path.isfile(path):
            raise ValueError(f"{path} should be a file. Received: no such file")
    return list(zip(paths, splits[split].shard_lengths, strict=True))


def _feature(builder, kind, preferred):
    features = builder.info.features
    features = dict(features.items()) if hasattr(features, "items") else {"": features}
    names = [name for name, feature in features.items() if isinstance(feature, kind)]
    if preferred in names:
        return preferred
    if len(names) == 1:
        return names[0]
    received = {name: type(feature).__name__ for name, feature in features.items()}
    raise ValueError(
        f"The TFDS data set {title(builder)!r} should have one {kind.__name__} "
        f"feature, or one called {preferred!r}. Received: {received}"
    )


def _entries(place, name):
    """Returns what lies in the folder where the data set should be."""
    folder = os.path.join(place, name.split("/")[0].split(":")[0])
    if not os.path.isdir(folder):
        return f"no folder {folder}"
    return f"{folder} with {sorted(os.listdir(folder))}"
