"""Pictures of what a network sees, drawn in the course of training."""

import pathlib

import keras
import numpy as np
import tensorflow as tf

from semivit_tf.whole_file import whole_path

_SMALLEST_SIDE = 96  # of an image in a picture, so that a person can see it
_GAP = 4  # white pixels above and left of each image


class Pictures(keras.callbacks.Callback):
    """Draws the same images after some epochs.

    Pictures are PNG files in `pictures/`, named by the epoch. They also go to the
    default writer of `tf.summary`, if there is one; see `MetricsLog`.

    Args:
        folder: Path of the stage.
        images: Array `[B, H, W, C]`.
        draw: Function from images to a picture of each, `[B, H, M W, C]` in [0, 255].
        epochs: Numbers of the epochs after which to draw.
    """

    def __init__(self, folder, images, draw, epochs):
        super().__init__()
        self.folder = pathlib.Path(folder)
        self.images = images
        self.draw = draw
        self.epochs = frozenset(epochs)

    def picture(self):
        """Returns all pictures, one below the other: uint8 array `[H, W, C]`."""
        drawn = np.asarray(self.draw(tf.constant(self.images)))
        return stacked(
            np.rint(drawn).clip(0, 255).astype("uint8"), self.images.shape[2]
        )

    def on_epoch_end(self, epoch, logs=None):
        if epoch + 1 not in self.epochs:
            return
        picture = self.picture()
        write_picture(self.folder / "pictures" / f"epoch-{epoch + 1:05d}.png", picture)
        step = int(self.model.optimizer.iterations.numpy())
        tf.summary.image("pictures", picture[None], step=step)


def write_picture(path, picture):
    """Writes a uint8 array `[H, W, C]` as a PNG file."""
    with whole_path(path) as aside:
        aside.write_bytes(tf.io.encode_png(picture).numpy())


def in_rows(images, count):
    """Joins images that belong to rows in turn into one picture; see `stacked`.

    Args:
        images: uint8 array `[M, H, W, C]`, M a multiple of `count`.
        count: Integer. How many rows there are.
    """
    columns = images.reshape(-1, count, *images.shape[1:])
    return stacked(np.concatenate(list(columns), axis=2), images.shape[2])


def stacked(rows, width):
    """Joins rows of images into one picture, enlarged and with gaps between them.

    Args:
        rows: uint8 array `[B, H, M W, C]`: M images side by side in each row.
        width: Integer W.

    Returns:
        uint8 array `[H, W, C]`.
    """
    count, height, _, channels = rows.shape
    parts = rows.reshape(count, height, -1, width, channels)
    times = -(-_SMALLEST_SIDE // height)
    parts = parts.repeat(times, axis=1).repeat(times, axis=3)
    gaps = ((0, 0), (_GAP, 0), (0, 0), (_GAP, 0), (0, 0))
    parts = np.pad(parts, gaps, constant_values=255)
    return parts.reshape(count * parts.shape[1], -1, channels)
