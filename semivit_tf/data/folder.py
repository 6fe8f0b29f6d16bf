"""Images in a folder, and their classes.

    train/<class>/...   labelled images; without `train/`, the class folders themselves
    val/<class>/...     optional, also `valid` or `validation`
    test/<class>/...    optional
    unlabeled/...       optional, also `unlabelled`: loose images, in any folders

Classes are numbered by their sorted names and images come as torchvision's ImageFolder
lists them, so that published lists of indices mean the same images.
"""

import os
import pathlib

import numpy as np

from semivit_tf.data.file_source import FileSource
from semivit_tf.data.parts import Parts
from semivit_tf.one_line import one_line

_NAMES = {
    "train": ("train",),
    "validation": ("val", "valid", "validation"),
    "test": ("test",),
    "unlabeled": ("unlabeled", "unlabelled"),
}
# TensorFlow cannot decode some of these; the check lists them by name.
_IMAGES = tuple(
    ".jpg .jpeg .jpe .jfif .png .gif .bmp .tif .tiff .webp .heic .heif .avif".split()
)
_BEGINNINGS = (b"\xff\xd8\xff", b"\x89PNG", b"GIF8", b"BM", b"II*\0", b"MM\0*")


def _begins_like_an_image(path):
    try:
        with open(path, "rb") as file:
            return file.read(4).startswith(_BEGINNINGS)
    except OSError:
        return False


def _holds(folder, other):
    """Returns whether a real folder is another one or lies above it."""
    return os.path.commonpath([folder, other]) == folder


def _walk(folder, root):
    """Returns `(parent, files)` of all folders inside one, sorted, and links left out.

    Hidden folders are left out, and links to folders that the walk has been to, or that
    lie in the data set themselves or above it: their images have a place already.
    """
    root, seen, found, links = os.path.realpath(root), set(), [], []
    for parent, folders, files in os.walk(folder, followlinks=True):
        seen.add(os.path.realpath(parent))
        found.append((parent, files))
        for name in [name for name in sorted(folders) if not name.startswith(".")]:
            path = os.path.join(parent, name)
            real = os.path.realpath(path)
            leads_back = real in seen or _holds(root, real) or _holds(real, root)
            if os.path.islink(path) and leads_back:
                links.append(path)
        folders[:] = [
            name
            for name in folders
            if not name.startswith(".") and os.path.join(parent, name) not in links
        ]
    return sorted(found), links


def list_images(folder, root=None):
    """Returns the sorted relative paths of images, and those of other files.

    A file is an image if its suffix, in upper or lower case, is one of images, or if it
    begins like an image. Hidden files and folders are skipped. A link to a folder whose
    images have another place already is one of the other files.

    Args:
        folder: Path.
        root: Folder of the data set; defaults to the folder itself.
    """
    found, links = _walk(folder, root or folder)
    images, others = [], [os.path.relpath(link, folder) for link in links]
    for parent, files in found:
        inside = os.path.relpath(parent, folder)
        prefix = "" if inside == "." else inside + os.sep
        for name in sorted(files):
            if name.startswith("."):
                continue
            known = name.lower().endswith(_IMAGES)
            if known or _begins_like_an_image(os.path.join(parent, name)):
                images.append(prefix + name)
            else:
                others.append(prefix + name)
    return images, others


def _list_classes(root, part, classes=None):
    """Returns paths, labels, class names and other files of `<part>/<class>/...`."""
    folder = os.path.join(root, part)
    found = sorted(
        entry.name
        for entry in os.scandir(folder)
        if entry.is_dir() and not entry.name.startswith(".")
    )
    if part == "":
        taken = {name for names in _NAMES.values() for name in names}
        found = [name for name in found if name not in taken]
    unknown = [name for name in found if classes is not None and name not in classes]
    if unknown:
        names = ", ".join(map(one_line, unknown))
        raise ValueError(f"{folder} has folders of classes that train/ lacks: {names}")
    classes = found if classes is None else classes
    number = {name: place for place, name in enumerate(classes)}
    paths, labels, others = [], [], []
    for name in found:
        images, rest = list_images(os.path.join(folder, name), root)
        prefix = os.path.join(part, name)
        paths += [os.path.join(prefix, path) for path in images]
        others += [os.path.join(prefix, path) for path in rest]
        labels += [number[name]] * len(images)
    return paths, labels, classes, others


def load_folder(data_dir, class_names=None):
    """Returns the `Parts` of a folder of images."""
    if data_dir is None or not pathlib.Path(data_dir).is_dir():
        raise ValueError(
            f"`data_dir` should be a folder of images. Received: {data_dir!r}"
        )
    present = {
        part: name
        for part, names in _NAMES.items()
        for name in names
        if os.path.isdir(os.path.join(data_dir, name))
    }
    paths, labels, classes, ignored = _list_classes(data_dir, present.get("train", ""))
    if not classes:
        raise ValueError(
            f"{data_dir} should have a folder for each class, or train/ with them. "
            "Received: none"
        )
    if not paths:
        raise ValueError(
            f"{data_dir} has {len(classes)} class folders but no image in them"
        )
    given = []
    if "validation" in present:
        more, kinds, _, rest = _list_classes(data_dir, present["validation"], classes)
        given = range(len(paths), len(paths) + len(more))
        paths, labels, ignored = paths + more, labels + kinds, ignored + rest
    if "unlabeled" in present:
        name = present["unlabeled"]
        more, rest = list_images(os.path.join(data_dir, name), data_dir)
        paths += [os.path.join(name, path) for path in more]
        labels += [-1] * len(more)
        ignored += [os.path.join(name, path) for path in rest]
    test = None
    if "test" in present:
        more, kinds, _, rest = _list_classes(data_dir, present["test"], classes)
        ignored += rest
        if more:
            test = FileSource(data_dir, more, kinds, classes)
    train = FileSource(data_dir, paths, labels, classes)
    return Parts(train, test, np.array(given, np.int64), ignored=tuple(ignored))
