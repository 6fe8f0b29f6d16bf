"""Failures worded for people: one line, and what to do about it."""

import contextlib
import errno
import os

import tensorflow as tf

from semivit_tf.config.settings import InputError
from semivit_tf.data.unfinished_reads import forget_reads, image_at_fault
from semivit_tf.export.portable_file import PortableFileError
from semivit_tf.training.collapse import CollapseError
from semivit_tf.training.distribution import WORKER_ENDED
from semivit_tf.training.non_finite import NonFiniteLossError
from semivit_tf.training.weight_files import CheckpointError
from semivit_tf.weights import WeightsError

# Errors of this package that are worded for people already.
_KNOWN = (
    CheckpointError,
    CollapseError,
    NonFiniteLossError,
    PortableFileError,
    WeightsError,
)
_CONTINUE = "What was kept is whole: the same command continues"
# A file in place of a folder, or a folder in place of a file.
_OTHER_KIND = (errno.EEXIST, errno.EISDIR, errno.ENOTDIR, errno.ENOTEMPTY)
_NO_ROOM = [os.strerror(code) for code in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)]


@contextlib.contextmanager
def input_errors():
    """Turns errors of building things from settings into `InputError`s."""
    try:
        yield
    except InputError:
        raise
    except (ValueError, OSError) as error:
        raise InputError(" ".join(str(error).split())) from error


@contextlib.contextmanager
def one_line_errors(folder):
    """Turns what may fail while stages run into `InputError`s.

    Args:
        folder: Path of the run, named where an error names no file.
    """
    forget_reads()
    try:
        yield
    except _KNOWN as error:
        raise InputError(str(error)) from error
    except OSError as error:
        advice = "" if error.errno in _OTHER_KIND else f". {_CONTINUE}"
        raise InputError(
            f"{error.filename or folder}: {error.strerror or error}{advice}"
        ) from error
    except tf.errors.OpError as error:
        worded = _worded(error, folder)
        if worded is None:
            raise
        raise worded from error


def _worded(error, folder):
    """Returns an error of TensorFlow as an `InputError`, or None if unexpected."""
    bad = image_at_fault()
    if bad:
        return InputError(
            "{} cannot be used: {}. Mend it, and the same command continues; the stage "
            "check finds such images before training".format(*bad)
        )
    if isinstance(error, WORKER_ENDED):
        return InputError(
            "another worker of this run has ended: start all of them again, and the "
            "same commands continue"
        )
    reason = str(error).splitlines()[0]
    if any(text in reason for text in _NO_ROOM):  # for TensorBoard's file
        return InputError(f"{folder}: {reason}. {_CONTINUE}")
    if isinstance(error, tf.errors.ResourceExhaustedError):
        return InputError(
            f"{folder}: {reason}. Less memory: smaller batches, --..._batch_parts, "
            "--rematerialize"
        )
    return None
