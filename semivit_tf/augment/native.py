"""How does per-pixel code run at the machine's speed, on all cores?

Functions marked `native` are compiled by Numba when they are first called and kept on
disk. They release Python's lock, so the threads of an input pipeline run them at once.
"""

import numba


def native(function):
    """Compiles a function of NumPy arrays and numbers."""
    options = {"nogil": True, "error_model": "numpy"}
    try:
        return numba.njit(function, cache=True, **options)
    except RuntimeError:  # there is no folder that could keep it
        return numba.njit(function, **options)
