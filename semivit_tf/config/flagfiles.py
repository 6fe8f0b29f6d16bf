"""Flagfiles that came with the package, which are found by their names."""

import pathlib
import sysconfig

INSTALLED = pathlib.Path(sysconfig.get_path("data"), "share", "semivit_tf")
_FLAG = "--flagfile="


def find_flagfile(argument):
    """Returns an argument; where it names an installed flagfile, with its folder.

    A file of that name in the folder where the command runs comes first.
    """
    name = argument.removeprefix(_FLAG)
    if name in ("", argument) or pathlib.Path(name).exists():
        return argument
    installed = INSTALLED / name
    known = installed.parent == INSTALLED and installed.is_file()
    return f"{_FLAG}{installed}" if known else argument
