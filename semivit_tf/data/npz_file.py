"""Images and labels in an `.npz` file.

Images are called `x_train` or `train_images`, labels `y_train` or `train_labels`; the
same with `test`, `val` and `unlabeled`. Only the training images are required.
"""

import pathlib

import numpy as np

from semivit_tf.data.array_source import ArraySource
from semivit_tf.data.npz_arrays import read_npz_arrays
from semivit_tf.data.parts import Parts

_MOST = 2**31  # classes that a label can number
_FEW = 1000  # classes that may be numbered by few images


def load_npz(data_dir, class_names=None):
    """Returns the `Parts` of an `.npz` file."""
    if data_dir is None or not pathlib.Path(data_dir).is_file():
        raise ValueError(f"`data_dir` should be an .npz file. Received: {data_dir!r}")
    arrays = read_npz_arrays(data_dir)

    def images(part):
        for name in (f"x_{part}", f"{part}_images"):
            if name in arrays:
                found = arrays[name]
                return found[..., None] if found.ndim == 3 else found
        return None

    def labels(part, count):
        for name in (f"y_{part}", f"{part}_labels"):
            if name in arrays:
                found = arrays[name]
                if found.dtype.kind not in "iub" or found.size != count:
                    raise ValueError(
                        f"{data_dir}: {name} should be {count} whole numbers, one for "
                        "each image, or -1 where the class is not known. Received: "
                        f"{found.dtype} {found.shape}"
                    )
                if count and not -1 <= int(found.min()) <= int(found.max()) < _MOST:
                    raise ValueError(
                        f"{data_dir}: {name} should be -1 or the number of a class. "
                        f"Received: {found.min()} to {found.max()}"
                    )
                return found.reshape(-1).astype("int64")
        return np.full(count, -1)

    if images("train") is None:
        raise ValueError(
            f"{data_dir} should have the array x_train or train_images. "
            f"Received: {', '.join(sorted(arrays)) or 'none'}"
        )
    pixels, kinds, given = [], [], []
    for part in ("train", "val", "unlabeled"):
        found = images(part)
        if found is None:
            continue
        start = sum(len(array) for array in pixels)
        if part == "val":
            given = range(start, start + len(found))
        unknown = np.full(len(found), -1)
        kinds.append(unknown if part == "unlabeled" else labels(part, len(found)))
        pixels.append(found)
    if class_names is None:
        highest = max(int(array.max(initial=-1)) for array in kinds)
        if highest >= max(_FEW, sum(map(len, kinds))):
            raise ValueError(
                f"{data_dir}: labels should number classes. Received: {highest} with "
                "fewer images and no class names"
            )
        class_names = [str(number) for number in range(highest + 1)]
    train = ArraySource(np.concatenate(pixels), np.concatenate(kinds), class_names)
    test = images("test")
    if test is not None:
        test = ArraySource(test, labels("test", len(test)), class_names)
    return Parts(train, test, np.array(given, np.int64))
