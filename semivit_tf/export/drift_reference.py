"""What new images are compared with: features and confidences of earlier ones.

It lies in the assets of a served model, so that the model alone tells whether images
drift away.
"""

import dataclasses

import numpy as np
from safetensors import SafetensorError, safe_open
from safetensors.numpy import save_file

from semivit_tf import checksum

FILE = "drift_reference.safetensors"
_PART = "semivit_tf.part"


@dataclasses.dataclass(frozen=True)
class DriftReference:
    """Features and confidences of images that a network has not learned, if possible.

    Attributes:
        features: Float array `[N, D]`, see `rounded`.
        confidences: Float array `[N]`: the probability of the likeliest class.
        part: String. Which images they are of, such as `"test"`.
    """

    features: np.ndarray
    confidences: np.ndarray
    part: str

    def write(self, path):
        """Writes a small file with a checksum."""
        arrays = {
            "features": rounded(self.features),
            "confidences": np.asarray(self.confidences, "float32"),
        }
        save_file(arrays, path, {_PART: self.part, checksum.ENTRY: checksum.ABSENT})
        checksum.seal(path)

    @classmethod
    def read(cls, path):
        """Reads what `write` wrote; raises a `ValueError` for anything else."""
        try:
            checksum.check(path)
            with safe_open(path, framework="numpy") as file:
                found = file.get_tensor("features"), file.get_tensor("confidences")
                part = file.metadata()[_PART]
        except (
            *(SafetensorError, checksum.ChecksumError),
            *(KeyError, OSError, TypeError, ValueError),
        ) as error:
            raise ValueError(f"{path} is not as it was written: {error}") from error
        return cls(*found, part)


def rounded(features):
    """Returns features as they are kept: float16, or float32 where those overflow."""
    features = np.asarray(features, "float32")
    with np.errstate(over="ignore"):
        small = features.astype("float16")
    return small if np.isfinite(small).all() else features
