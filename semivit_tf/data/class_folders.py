"""Images as PNG files in a folder for each class, as `folder.py` reads them."""

import re

import tensorflow as tf

from semivit_tf.whole_file import whole_folder

# What is no part of a folder's name everywhere, and what would hide the folder.
_AWKWARD = re.compile(r'[%/\\:*?"<>|\x00-\x1f\x7f]|^\.|[. ]$')


def folder_name(class_name):
    """Returns a class's name as a folder can have it; others get other names."""
    return _AWKWARD.sub(lambda found: f"%{ord(found[0]):02X}", class_name)


def write_class_folders(path, images, labels, class_names):
    """Writes `<class>/<position>.png`; the whole folder appears at once.

    Args:
        path: Path of the folder, which is replaced.
        images: uint8 array `[N, H, W, C]`.
        labels: Integer array `[N]`.
        class_names: Sequence of K strings.
    """
    digits = len(str(len(images)))
    with whole_folder(path) as aside:
        folders = [aside / folder_name(name) for name in class_names]
        for folder in folders:
            folder.mkdir()
        for place, (image, label) in enumerate(zip(images, labels, strict=True)):
            file = folders[label] / f"{place:0{digits}}.png"
            file.write_bytes(tf.io.encode_png(image).numpy())
