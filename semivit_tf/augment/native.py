"""How does per-pixel code run at the machine's speed, on all cores?

Functions marked `native` or `brief` are compiled by Numba when they are first called
and kept on disk. The native ones release Python's lock, so the threads of an input
pipeline run them at once; that pays from some 20 microseconds on. Brief ones keep it,
because waiting to get it back would take longer than they do.
"""

import numba


def _compiled(function, **options):
    options["error_model"] = "numpy"
    try:
        return numba.njit(function, cache=True, **options)
    except RuntimeError:  # there is no folder that could keep it
        return numba.njit(function, **options)


def native(function):
    """Compiles a function of NumPy arrays and numbers that loops over pixels."""
    return _compiled(function, nogil=True)


def brief(function):
    """Compiles a function of numbers that is done at once."""
    return _compiled(function)
