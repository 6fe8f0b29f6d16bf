"""The error of a file of weights that cannot be used."""

import contextlib
import zipfile
import zlib

from safetensors import SafetensorError

from semivit_tf.weights.coverage import printable


class WeightsError(ValueError):
    """A file of weights cannot be read or does not fit; one line says why."""


@contextlib.contextmanager
def blaming(path):
    """Turns all errors of the block into `WeightsError` that name the file."""
    try:
        yield
    except WeightsError as error:
        raise WeightsError(f"{path}: {_in_one_line(error)}") from error
    except FileNotFoundError as error:
        raise WeightsError(f"{path} does not exist") from error
    except (
        EOFError,
        MemoryError,
        NotImplementedError,
        OSError,
        RecursionError,
        SafetensorError,
        ValueError,
        zipfile.BadZipFile,
        zlib.error,
    ) as error:
        raise WeightsError(f"{path} cannot be read: {_in_one_line(error)}") from error


def _in_one_line(error):
    return printable(" ".join(str(error).split())) or type(error).__name__
