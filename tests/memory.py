"""What tests do to use less memory."""

import ctypes
import gc
import sys


def give_back():
    """Drops models and compiled functions, which hold each other in cycles."""
    import keras  # imports TensorFlow

    keras.backend.clear_session()
    gc.collect()
    if sys.platform == "linux":
        ctypes.CDLL(None).malloc_trim(0)  # else freed memory stays with the process
