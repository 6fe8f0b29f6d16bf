"""A folder that one process at a time works in."""

import contextlib
import fcntl
import pathlib

from semivit_tf.config.settings import InputError

LOCK = ".lock"  # held while a process works in the folder; never replaced


@contextlib.contextmanager
def locked(folder, name):
    """Makes a folder and holds its lock; refuses one that another process holds.

    Args:
        folder: Path.
        name: String. What the folder is called in the refusal.
    """
    folder = pathlib.Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    # A file of its own: one that is written aside and renamed would take the lock of
    # the file that it replaces with it.
    with (folder / LOCK).open("ab") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            raise InputError(f"{name} is in use by another process") from error
        except OSError:
            pass  # a file system without locks
        yield
