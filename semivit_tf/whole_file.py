"""How does a file appear whole or not at all? Written aside, then renamed."""

import contextlib
import os
import pathlib
import re
import shutil
import tempfile

# The names that `tempfile` makes for what is below, and safetensors for its own.
_ASIDE = re.compile(r"\.(?:.+\.[a-z0-9_]{8}|tmp[A-Za-z0-9]{6})")


@contextlib.contextmanager
def whole_path(path):
    """Gives a path to write to, which takes the name `path` when the block succeeds."""
    path = pathlib.Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    handle, aside = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    os.close(handle)
    try:
        yield pathlib.Path(aside)
        with open(aside, "rb") as file:
            os.fsync(file.fileno())
        os.chmod(aside, 0o666 & ~_umask())
        os.replace(aside, path)
    except BaseException:
        pathlib.Path(aside).unlink(missing_ok=True)
        raise


@contextlib.contextmanager
def open_whole(path):
    """Opens a text file for writing that takes its name when the block succeeds."""
    with (
        whole_path(path) as aside,
        open(aside, "w", encoding="utf-8", newline="") as file,
    ):
        yield file


@contextlib.contextmanager
def whole_folder(path):
    """Gives a folder to fill that takes its name only when the block succeeds.

    A folder that has the name already is replaced.
    """
    path = pathlib.Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    aside = pathlib.Path(tempfile.mkdtemp(dir=path.parent, prefix=f".{path.name}."))
    try:
        yield aside
        os.chmod(aside, 0o777 & ~_umask())
        if path.exists():
            old = pathlib.Path(tempfile.mkdtemp(dir=path.parent, prefix=".old."))
            os.replace(path, old / path.name)
            os.replace(aside, path)
            shutil.rmtree(old)
        else:
            os.replace(aside, path)
    except BaseException:
        shutil.rmtree(aside, ignore_errors=True)
        raise


def forget_unfinished(folder):
    """Removes what a killed process was writing aside, anywhere in a folder."""
    for path in sorted(pathlib.Path(folder).rglob(".*")):
        if not _ASIDE.fullmatch(path.name):
            continue
        if path.is_dir() and not path.is_symlink():
            shutil.rmtree(path, ignore_errors=True)
        else:
            path.unlink(missing_ok=True)


def _umask():
    mask = os.umask(0)
    os.umask(mask)
    return mask
