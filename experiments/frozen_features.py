"""Features of EfficientNet-Lite0 that experiments share, computed once.

    python experiments/frozen_features.py --data_dir=FOLDER --cnn_weights=FILE.npz

FOLDER has the Grocery Store Dataset as train/, val/ and test/; the weights are those
that efficientnet_lite0.py reads. Writes features of groceries, of Fashion-MNIST's
images as they are, inverted and blurred, and of scikit-learn's digits, to
runs/frozen_features.npz.
"""

import argparse
import pathlib
import sys

import numpy as np

ROOT = pathlib.Path(__file__).resolve().parents[1]
sys.path[:0] = [str(ROOT), str(ROOT / "experiments")]

FILE = ROOT / "runs" / "frozen_features.npz"
FASHION = "/usr/share/datasets/fashion-mnist"
TRAINING, TEST, SHIFTED = 5_000, 5_000, 1_000  # images of Fashion-MNIST
SIZE, GROCERIES = 64, 128  # pixels


def groceries(data_dir):
    """Yields batches of photos of training, with their classes."""
    from semivit_tf.data.folder import load_folder
    from semivit_tf.data.pipelines import evaluation_batches

    train = load_folder(data_dir).train
    indices = np.arange(len(train))
    return evaluation_batches(train, indices, (GROCERIES, GROCERIES), 64)


def fashion(part, count):
    """Returns images `[N, 28, 28]` of a part of Fashion-MNIST, and their classes."""
    from semivit_tf.data.idx_files import load_idx

    source = getattr(load_idx(FASHION), part)
    chosen = np.sort(np.random.default_rng(0).permutation(len(source))[:count])
    return np.asarray(source.images)[chosen][..., 0], source.labels[chosen]


def digits():
    """Returns scikit-learn's digits in 28 x 28 pixels, white on black as garments."""
    from sklearn.datasets import load_digits

    images = np.round(load_digits().images * 255 / 16).astype("uint8")
    return np.pad(images.repeat(3, 1).repeat(3, 2), ((0, 0), (2, 2), (2, 2)))


def blurred(images):
    """Returns images after a Gaussian blur of 1.5 pixels."""
    from scipy.ndimage import gaussian_filter

    return gaussian_filter(images.astype("float32"), (0, 1.5, 1.5))


def enlarged(images):
    """Yields batches of grey images, in colour and larger."""
    import tensorflow as tf

    for start in range(0, len(images), 256):
        some = tf.cast(images[start : start + 256, ..., None], tf.float32)
        resized = tf.image.resize(some, (SIZE, SIZE), "bilinear")
        yield tf.image.grayscale_to_rgb(resized)


def compute(data_dir, cnn_weights):
    """Returns all arrays by name."""
    import tensorflow as tf
    from efficientnet_lite0 import build, load

    network = build()
    load(network, cnn_weights)
    encode = tf.function(lambda x: network(x, training=False), reduce_retracing=True)

    def of(batches):
        return np.concatenate([encode(some).numpy() for some in batches])

    train, train_labels = fashion("train", TRAINING)
    test, test_labels = fashion("test", TEST)
    parts = {
        "fashion_train": train,
        "fashion_test": test,
        "inverted": 255 - test[-SHIFTED:],
        "blurred": blurred(test[-SHIFTED:]),
        "digits": digits(),
    }
    found = {name: of(enlarged(images)) for name, images in parts.items()}
    found |= {"fashion_train_labels": train_labels, "fashion_test_labels": test_labels}
    rows = [(encode(photos).numpy(), labels) for photos, labels in groceries(data_dir)]
    features, labels = zip(*rows, strict=True)
    return found | {
        "groceries": np.concatenate(features),
        "groceries_labels": np.concatenate(labels),
    }


def features():
    """Returns what this script has written."""
    if not FILE.exists():
        raise SystemExit(f"{FILE} should be there: see experiments/frozen_features.py")
    with np.load(FILE, allow_pickle=False) as file:
        return {name: file[name] for name in file}


def main():
    """Writes the file."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data_dir", required=True)
    parser.add_argument("--cnn_weights", required=True)
    given = parser.parse_args()
    found = compute(given.data_dir, given.cnn_weights)
    FILE.parent.mkdir(parents=True, exist_ok=True)
    np.savez(FILE, **found)


if __name__ == "__main__":
    main()
