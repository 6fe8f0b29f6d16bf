"""Failures worded for people: one line, and what to do about it."""

import contextlib
import errno
import os

import tensorflow as tf

from semivit_tf.config.settings import InputError
from semivit_tf.training.distribution import WORKER_ENDED
from semivit_tf.training.non_finite import NonFiniteLossError
from semivit_tf.training.weight_files import CheckpointError
from semivit_tf.weights import WeightsError

_CONTINUE = "What was kept is whole: the same command continues"
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
    try:
        yield
    except (CheckpointError, NonFiniteLossError, WeightsError) as error:
        raise InputError(str(error)) from error
    except WORKER_ENDED as error:
        raise InputError(
            "another worker of this run has ended: start all of them again, and the "
            "same commands continue"
        ) from error
    except OSError as error:
        raise InputError(
            f"{error.filename or folder}: {error.strerror or error}. {_CONTINUE}"
        ) from error
    except tf.errors.OpError as error:
        reason = str(error).splitlines()[0]
        if any(text in reason for text in _NO_ROOM):  # for TensorBoard's file
            advice = _CONTINUE
        elif isinstance(error, tf.errors.ResourceExhaustedError):
            advice = "Less memory: smaller batches, --..._batch_parts, --rematerialize"
        else:
            raise
        raise InputError(f"{folder}: {reason}. {advice}") from error
