"""Features of a run's images: computed when they are asked for, or once and kept.

Frozen features are the same for every split of the images. With `--probe_features`
they are kept in files, of some thousand images each, in a folder that is named by a
digest of the weights, the network and how images are resized. Each file says of which
images it is, by a digest of all names. Runs of other labels and seeds find them there.
"""

import hashlib
import json
import pathlib

import keras
import numpy as np

from semivit_tf.data.image_scan import source_identity
from semivit_tf.evaluation.features import extract_features
from semivit_tf.training.progress import CountProgress
from semivit_tf.training.weight_files import (
    CheckpointError,
    read_arrays,
    write_arrays,
)

_PER_FILE = 4096  # images; a killed process loses no more work than that
_ENTRY = "semivit_tf.features"


class Features:
    """Features of the training and test images of a run.

    Args:
        run: `Run`.
        network: The network whose output is probed.
        encode: Function from images to features, as of `extract_features`.
        folder: Optional path. Where features of all images are kept; by default, those
            that are asked for are computed each time.
    """

    def __init__(self, run, network, encode, folder=None):
        self._run = run
        self._encode = encode
        self._kept = {}
        self._folder = None
        if folder is not None:
            self._key = features_key(run, network)
            self._folder = pathlib.Path(folder) / self._key[:16]

    def of_training(self, indices):
        """Returns the features `[N, D]` of training images, by index."""
        if self._folder is None:
            batches = self._run.data.as_evaluated(indices)
            return extract_features(self._encode, batches)[0]
        found, usable = self._all("train")
        return found[np.searchsorted(usable, indices)]

    def of_test(self):
        """Returns the features `[M, D]` of all test images that can be used."""
        if self._folder is None:
            return extract_features(self._encode, self._run.data.test())[0]
        return self._all("test")[0]

    def _all(self, part):
        """Returns the features of a part, and the indices of its usable images."""
        if part not in self._kept:
            parts = self._run.data.parts
            source, bad = {
                "train": (parts.train, parts.bad),
                "test": (parts.test, parts.bad_test),
            }[part]
            usable = np.setdiff1d(np.arange(len(source)), bad)
            found, names = [], source_identity(source).tobytes()
            with CountProgress(f"features of {part} images") as progress:
                for start in range(0, len(usable), _PER_FILE):
                    indices = usable[start : start + _PER_FILE]

                    def say(done, start=start):
                        progress(start + done, len(usable))

                    found.append(self._piece(part, names, indices, say))
                    say(len(indices))
            self._kept[part] = np.concatenate(found), usable
        return self._kept[part]

    def _piece(self, part, names, indices, progress):
        """Returns the features of some images, from their file or for the first time.

        A file of other images, or a damaged one, is written again.
        """
        path = self._folder / f"{part}-{indices[0]:08d}.safetensors"
        digest = hashlib.sha256(names + np.int64(indices).tobytes()).hexdigest()
        entry = {_ENTRY: f"{self._key} {digest}"}
        if path.exists():
            try:
                arrays, metadata = read_arrays(path)
                if metadata.get(_ENTRY) == entry[_ENTRY]:
                    return arrays["features"]
            except CheckpointError as error:
                self._run.say(f"{error}: computed again")
        batches = counted(self._run.data.evaluated(part, indices), progress)
        features, _ = extract_features(self._encode, batches)
        write_arrays(path, {"features": features}, entry)
        return features


def counted(batches, progress):
    """Yields batches; says after each how many images there have been."""
    done = 0
    for images, labels in batches:
        yield images, labels
        done += len(images)
        progress(done)


def features_key(run, network):
    """Returns the digest of what the features of any image follow from."""
    data = run.data
    digest = hashlib.sha256()
    for weight in network.weights:
        array = np.ascontiguousarray(weight.numpy())
        if array.dtype.kind in "iu":
            continue  # states of random numbers, which are not used here
        digest.update(f"{array.dtype} {array.shape} ".encode())
        digest.update(array)
    settings = run.config.backbone
    told = {
        "backbone": settings.backbone,
        **settings.overrides(),
        "image_shape": data.image_shape,
        "central_share": data.central_share,
        "precision": keras.config.dtype_policy().name,
    }
    digest.update(json.dumps(told, sort_keys=True).encode())
    return digest.hexdigest()
