"""Images inside of a page, as `data:` addresses."""

import base64

import numpy as np
import tensorflow as tf

_QUALITY = 82  # of a JPEG
_SMALL = 48  # pixels of a side up to which images are shown pixel by pixel


def picture(image, alt, most=112):
    """Returns what a page needs to show an image.

    Args:
        image: Array `[H, W, C]` in [0, 255], of one or three channels.
        alt: String: what is in it.
        most: Integer. Pixels of its longer side; a larger image is made smaller.

    Returns:
        Dict of `uri`, `alt`, `width` and `height` in pixels, and whether it is `small`:
        to be shown enlarged, with its pixels visible.
    """
    image = np.asarray(image, "float32")
    longer = max(image.shape[:2])
    if longer > most:
        size = [max(1, round(side * most / longer)) for side in image.shape[:2]]
        image = tf.image.resize(image, size, method="area").numpy()
    image = np.rint(image).clip(0, 255).astype("uint8")
    height, width, _ = image.shape
    return {
        "uri": data_uri(image),
        "alt": alt,
        "width": width,
        "height": height,
        "small": max(height, width) <= _SMALL,
    }


def data_uri(image):
    """Returns a uint8 image `[H, W, C]` as the address of a PNG or a smaller JPEG."""
    kinds = {"png": tf.io.encode_png(image).numpy()}
    if min(image.shape[:2]) > _SMALL:
        kinds["jpeg"] = tf.io.encode_jpeg(image, quality=_QUALITY).numpy()
    kind = min(kinds, key=lambda name: len(kinds[name]))
    return f"data:image/{kind};base64,{base64.b64encode(kinds[kind]).decode()}"


def drawn(path, alt, most=900):
    """Returns a PNG file that a stage has drawn, as `picture` does."""
    return picture(tf.io.decode_png(tf.io.read_file(str(path))).numpy(), alt, most)


def overlaid(image, attention):
    """Returns an image `[H, W, 3]` in which what is looked at stays bright.

    Args:
        image: Array `[H, W, C]` in [0, 255].
        attention: Float array `[h, w]`, not negative.
    """
    image = np.asarray(image, "float32")
    attention = attention / max(float(attention.max()), 1e-12)
    shown = tf.image.resize(attention[..., None], image.shape[:2], method="bilinear")
    light = 0.15 + 0.85 * shown.numpy()
    return np.broadcast_to(image, (*image.shape[:2], 3)) * light
