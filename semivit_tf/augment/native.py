"""Compiled loops over pixels.

Functions marked `native` or `brief` are compiled by Numba when they are first called,
and cached on disk. Native ones release the GIL, so that the threads of an input
pipeline run them in parallel; that pays from about 20 microseconds on. Brief ones keep
the GIL, because taking it again would last longer than they do.
"""

import numba


def _compiled(function, **options):
    options["error_model"] = "numpy"
    try:
        return numba.njit(function, cache=True, **options)
    except RuntimeError:  # no folder for the cache
        return numba.njit(function, **options)


def native(function):
    """Compiles a function of NumPy arrays and numbers that loops over pixels."""
    return _compiled(function, nogil=True)


def brief(function):
    """Compiles a function of numbers that takes less than about 20 microseconds."""
    return _compiled(function)
