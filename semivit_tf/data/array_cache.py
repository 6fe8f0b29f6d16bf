"""Arrays that take long to compute, kept in the user's cache folder."""

import os
import pathlib

import numpy as np

from semivit_tf.whole_file import whole_path


def cached_array(name, make, is_right):
    """Returns the cached array of a name, or computes and caches it.

    A cache that cannot be read or written is no error: the array is computed again.

    Args:
        name: String. Path in the cache folder, without its suffix. It should change
            with everything that the array depends on.
        make: Function without arguments that returns the array.
        is_right: Function of the cached array that returns whether it may be used.
    """
    try:
        path = _folder() / f"{name}.npy"
        with open(path, "rb") as file:
            kept = np.lib.format.read_array(file, allow_pickle=False)
        if is_right(kept):
            return kept
    except Exception:  # Missing or damaged: it is computed again.
        pass
    array = make()
    try:
        with whole_path(_folder() / f"{name}.npy") as aside, open(aside, "wb") as file:
            np.lib.format.write_array(file, array, allow_pickle=False)
    except (OSError, RuntimeError):  # A full or read-only disk, or no home folder.
        pass
    return array


def _folder():
    # The XDG Base Directory rules: a relative path does not count.
    given = pathlib.Path(os.environ.get("XDG_CACHE_HOME", ""))
    root = given if given.is_absolute() else pathlib.Path.home() / ".cache"
    return root / "semivit_tf"
