"""Image files that are only listed: of a folder, a table or a pattern."""

import csv
import glob
import itertools
import os
import pathlib

from semivit_tf.data.folder import list_images


def list_files(images):
    """Lists the files of images that nothing else is known of.

    Args:
        images: String. A folder, of which all images count, see `list_images`; a table,
            a file that ends in `.csv` and has the column `path`, relative to the table;
            an image; or a pattern, in which `**` stands for any folders.

    Returns:
        Tuple of the folder that paths are relative to, and an iterable of them, at
        least one. Those of a folder and of a pattern are sorted.
    """
    path = pathlib.Path(images)
    if path.is_dir():
        root, paths = path, list_images(path)[0]
    elif path.is_file() and path.suffix.lower() == ".csv":
        root, paths = path.parent, _paths_in(path)
    elif path.is_file():
        root, paths = pathlib.Path(), [images]
    else:
        found = sorted(glob.glob(images, recursive=True))
        root, paths = pathlib.Path(), filter(os.path.isfile, found)
    paths = iter(paths)
    first = next(paths, None)
    if first is None:
        raise ValueError(
            "`images` should be a folder of images, a table (.csv) with the column "
            f"path, or a pattern of files. Received: {images!r}, and no image in it"
        )
    return root.absolute(), itertools.chain([first], paths)


def _paths_in(file):
    """Yields the paths that a table lists."""
    try:
        with file.open(encoding="utf-8-sig", newline="") as opened:
            reader = csv.DictReader(opened)
            if "path" not in (reader.fieldnames or ()):
                raise ValueError(f"{file} should have the column path")
            for row in reader:
                if not row["path"]:
                    raise ValueError(f"{file} line {reader.line_num} lacks its path")
                yield row["path"]
    except (csv.Error, UnicodeDecodeError) as error:
        raise ValueError(f"{file} cannot be read as a table: {error}") from error
