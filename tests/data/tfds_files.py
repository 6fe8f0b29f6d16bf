"""Small data sets that TensorFlow Datasets itself writes."""

import numpy as np
import tensorflow as tf
import tensorflow_datasets as tfds

IMAGE = tfds.features.Image(shape=(None, None, 3))
LABEL = tfds.features.ClassLabel(names=["cat", "dog", "eel", "fox"])


def images(count, seed=0):
    """Makes encoded images of different sizes and encodings."""
    generator = np.random.default_rng(seed)
    for number in range(count):
        height, width = generator.integers(5, 12, 2)
        image = generator.integers(0, 256, (height, width, 3), "uint8")
        if number % 3 == 0:
            yield tf.io.encode_jpeg(image).numpy()
        elif number % 3 == 1:
            yield tf.io.encode_png(image).numpy()
        else:
            yield bitmap(height, width)


def bitmap(height, width):
    """Makes a black BMP: a header, and then zeros to the end of the file."""
    row = (width * 3 + 3) // 4 * 4
    fields = [("BM", 54 + row * height, 0, 54), (40, width, height)]
    header = b"BM" + b"".join(int(v).to_bytes(4, "little") for v in fields[0][1:])
    header += b"".join(int(value).to_bytes(4, "little") for value in fields[1])
    header += (1).to_bytes(2, "little") + (24).to_bytes(2, "little")
    return header.ljust(54, b"\0") + bytes(row * height)


def examples(count, seed=0, labels=(0, 1, 2, 3)):
    return [
        {"image": image, "label": labels[number % len(labels)]}
        for number, image in enumerate(images(count, seed))
    ]


def prepare(
    data_dir,
    title,
    splits,
    file_format="tfrecord",
    features=None,
    config=None,
    shards=3,
):
    """Lets TFDS write a data set, and returns the builder."""

    class Prepared(tfds.core.GeneratorBasedBuilder, skip_registration=True):
        # In a package TFDS 4.9.10 would need importlib_resources, without requiring it.
        __module__ = "__main__"
        VERSION = tfds.core.Version("3.0.2")
        BUILDER_CONFIGS = [tfds.core.BuilderConfig(name=config)] if config else []

        def _info(self):
            return tfds.core.DatasetInfo(
                builder=self,
                features=tfds.features.FeaturesDict(
                    features or {"image": IMAGE, "label": LABEL}
                ),
            )

        def _split_generators(self, dl_manager):
            return {name: self._generate_examples(name) for name in splits}

        def _generate_examples(self, split):
            yield from enumerate(splits[split])

    Prepared.name = title
    tfds.disable_progress_bar()
    builder = Prepared(data_dir=str(data_dir), file_format=file_format)
    builder.download_and_prepare(
        download_config=tfds.download.DownloadConfig(
            num_shards=shards, try_download_gcs=False
        )
    )
    return builder
