"""Where is an array kept that takes long to make? In the user's cache folder."""

import os
import pathlib

import numpy as np

from semivit_tf.whole_file import whole_path


def cached_array(name, make, is_right):
    """Returns the array of a name: the one kept, or else a new one, which is then kept.

    A cache that cannot be written does not matter, nor what is wrong with one that was.

    Args:
        name: String. Path in the cache folder, without its ending; it should change
            with all that the array depends on.
        make: Function without arguments that returns the array.
        is_right: Function of the kept array: may it be used?
    """
    try:
        path = _folder() / f"{name}.npy"
        with open(path, "rb") as file:
            kept = np.lib.format.read_array(file, allow_pickle=False)
        if is_right(kept):
            return kept
    except Exception:  # Whatever is wrong with it, it can be made again.
        pass
    array = make()
    try:
        with whole_path(_folder() / f"{name}.npy") as aside, open(aside, "wb") as file:
            np.lib.format.write_array(file, array, allow_pickle=False)
    except (OSError, RuntimeError):  # A full or read-only disk, nobody's home.
        pass
    return array


def _folder():
    # The XDG Base Directory rules: a relative path does not count.
    given = pathlib.Path(os.environ.get("XDG_CACHE_HOME", ""))
    root = given if given.is_absolute() else pathlib.Path.home() / ".cache"
    return root / "semivit_tf"
