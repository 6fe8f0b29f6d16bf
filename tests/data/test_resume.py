"""Every source starts anywhere, bit for bit, and divides over workers."""

import itertools

import numpy as np
import pytest
from PIL import Image

from semivit_tf.data.dataset import load_dataset
from semivit_tf.data.order import index_batches
from tests.data.files import leaves, write_folder, write_mnist_like
from tests.data.tfds_files import examples, images, prepare


def folder(root):
    return load_dataset(
        "folder",
        write_folder(root),
        labels_per_class=3,
        image_size=16,
        augmentation="photo",
    )


def table(root):
    write_folder(root)
    rows = [
        f"{path.relative_to(root)},{path.parent.name if 'train' in path.parts else ''}"
        for path in sorted(root.rglob("*.*g"))
    ]
    (root / "labels.csv").write_text("path,label\n" + "\n".join(rows))
    return load_dataset("csv", root, labels_per_class=3, image_size=16)


def idx(root):
    write_mnist_like(root)
    return load_dataset("idx", root, labels_per_class=3)


def npz(root):
    generator = np.random.default_rng(0)
    images = generator.integers(0, 256, (40, 10, 10, 3)).astype("uint8")
    np.savez(root / "a.npz", x_train=images, y_train=np.arange(40) % 2)
    return load_dataset("npz", root / "a.npz", labels_per_class=3, augmentation="photo")


def digits(root):
    return load_dataset("digits", labels_per_class=3)


def prepared(file_format):
    """A data set of TFDS with images without labels."""

    def load(root):
        loose = [{"image": image, "label": -1} for image in images(11, seed=2)]
        splits = {"train": examples(20), "test": examples(6, 1), "unlabelled": loose}
        prepare(root, "stl10", splits, file_format)
        return load_dataset("tfds:stl10", root, labels_per_class=2, image_size=16)

    return load


SOURCES = {
    "folder": folder,
    "csv": table,
    "idx": idx,
    "npz": npz,
    "digits": digits,
    "tfrecord": prepared("tfrecord"),
    "array_record": prepared("array_record"),
}
POINTS = 16  # of each source


@pytest.mark.parametrize("name", SOURCES)
def test_a_stream_started_anywhere_is_the_uninterrupted_one(
    name, tmp_path, monkeypatch
):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    data = SOURCES[name](tmp_path)
    generator = np.random.default_rng(1)
    streams = [
        lambda step: data.semi_supervised(2, 3, start_step=step),
        lambda step: data.labeled(4, start_step=step),
        lambda step: data.images(4, start_step=step),
        lambda step: data.crops(4, 2, step, local_size=6),
    ]
    whole = [
        [leaves(batch) for batch in itertools.islice(stream(0), 41)]
        for stream in streams
    ]
    for point in range(POINTS):
        step = int(generator.integers(0, 41))
        which = point % 4
        started = leaves(next(iter(streams[which](step))))
        assert len(started) == len(whole[which][step]) >= 1
        for ours, before in zip(started, whole[which][step], strict=True):
            np.testing.assert_array_equal(ours, before)
    # Passes differ, and so do the views of an image in them.
    first, last = whole[2][0][0], whole[2][-1][0]
    assert not np.array_equal(first, last)


def test_workers_together_see_the_single_stream(tmp_path):
    """Each takes half of every batch, views and all."""
    data = folder(tmp_path)
    indices, seed = data.image_indices, (0, 1)

    def stream(shard):
        order = index_batches(indices, 4, seed, start_step=3, shard=shard)
        batches = data.views.batches(order, ("weak", "strong"))
        return [leaves(batch) for batch in itertools.islice(batches, 9)]

    whole, first, second = stream((0, 1)), stream((0, 2)), stream((1, 2))
    for together, one, other in zip(whole, first, second, strict=True):
        for a, b, c in zip(together, one, other, strict=True):
            np.testing.assert_array_equal(a[:2], b)
            np.testing.assert_array_equal(a[2:], c)


def test_the_last_view_of_a_photograph_can_be_looked_at(tmp_path):
    """Views are pictures: in range but for noise, and not all alike."""
    batch, _ = next(iter(folder(tmp_path).semi_supervised(2, 3)))
    weak = batch["weak"].numpy()
    assert 0 <= weak.min() and weak.max() <= 255 and weak.std() > 10
    assert Image.fromarray(weak[0].astype("uint8")).size == (16, 16)
