"""What the header of an image file says, read before anything is decoded, in a graph.

A few bytes of a file may stand for gigabytes of pixels, and a GIF for thousands of
frames, all of which TensorFlow decodes even where one is wanted.
"""

import dataclasses

import numpy as np
import tensorflow as tf

# A decoded image of this size takes 300 MB. Photographs of phones have 12 to 50 million
# pixels; those of more than 100 million are rare, and every thread may hold several.
MAX_PIXELS = 100_000_000

_LENGTH = 32  # bytes of a header that are looked at
_MOST_BLOCKS = 2**16  # of a GIF's first frame, of up to 255 bytes each


def shown_with_size(contents):
    """Returns what of a file is shown, a GIF's first frame, and the size it declares.

    Args:
        contents: Scalar string tensor: JPEG, PNG, GIF, BMP or WebP.

    Returns:
        Tuple of contents and int64 tensor `[height, width]`; zeros for what is none of
        these or ends too early. A broken JPEG raises `tf.errors.InvalidArgumentError`.
    """

    def of_jpeg():
        return tf.cast(tf.io.extract_jpeg_shape(contents)[:2], tf.int64)

    def of_others():
        is_gif = tf.strings.substr(contents, 0, 4) == b"GIF8"
        return tf.cond(
            is_gif,
            lambda: first_frame(contents),
            lambda: (tf.identity(contents), _declared_size(contents)),
        )

    return tf.cond(
        tf.io.is_jpeg(contents),
        lambda: (tf.identity(contents), of_jpeg()),
        of_others,
    )


def image_size(contents):
    """Returns the `[height, width]` that a file declares, see `shown_with_size`."""
    return shown_with_size(contents)[1]


# === PNG, BMP, WebP: numbers at fixed places. Few operations, as each takes time ===


@dataclasses.dataclass(frozen=True)
class _Header:
    """Where a format keeps height and width: `number // divisor % 2**bits + more`."""

    magic: dict  # bytes by their positions
    starts: tuple
    length: int
    highest_first: bool = False
    divisors: tuple = (1, 1)
    bits: int = 32
    more: int = 0


_WEBP = {0: b"RIFF", 8: b"WEBP"}
_HEADERS = (
    _Header({0: b"\x89PNG"}, (20, 16), 4, highest_first=True),
    _Header({0: b"BM"}, (22, 18), 4),
    _Header({**_WEBP, 12: b"VP8 "}, (28, 26), 2, bits=14),
    _Header({**_WEBP, 12: b"VP8L"}, (21, 21), 4, divisors=(2**14, 1), bits=14, more=1),
    _Header({**_WEBP, 12: b"VP8X"}, (27, 24), 3, more=1),
)


def _magic(header):
    """Returns the bytes that a header begins with `[32]`; -1 where any may be."""
    expected = np.full(_LENGTH, -1)
    for start, magic in header.magic.items():
        expected[start : start + len(magic)] = list(magic)
    return expected


def _powers(header):
    """Returns the factors `[2, 32]` by which bytes add up to height and width."""
    powers = 256 ** np.arange(header.length)
    rows = np.zeros((2, _LENGTH), np.int64)
    for row, start in zip(rows, header.starts, strict=True):
        row[start : start + header.length] = (
            powers[::-1] if header.highest_first else powers
        )
    return rows


_MAGIC = np.stack([_magic(header) for header in _HEADERS])  # [F, 32]
_POWERS = np.stack([_powers(header) for header in _HEADERS])  # [F, 2, 32]
_DIVISORS = np.array([header.divisors for header in _HEADERS])
_MODULI = 2 ** np.array([[header.bits] for header in _HEADERS])
_MORE = np.array([[header.more] for header in _HEADERS])


def _declared_size(contents):
    head = tf.io.decode_raw(contents, tf.uint8, fixed_length=_LENGTH)
    head = tf.cast(head, tf.int64)
    matches = tf.reduce_all((_MAGIC < 0) | (head == _MAGIC), -1, keepdims=True)
    sizes = tf.reduce_sum(_POWERS * head, -1) // _DIVISORS % _MODULI + _MORE  # [F, 2]
    # The height of a BMP is negative where its first row is the upper one.
    sizes = tf.minimum(sizes, 2**32 - sizes)
    return tf.reduce_sum(tf.where(matches, sizes, 0), 0)


# === GIF: blocks, each of which is a chain of up to 255 bytes and their number ===


@tf.function(
    input_signature=[tf.TensorSpec((), tf.string)],
    autograph=False,
    experimental_attributes={"_noinline": True},
)
def first_frame(contents):
    """Cuts all frames but the first out of a GIF.

    Returns:
        Tuple of a GIF and the `[height, width]` of its frame, int64. Without a whole
        first frame within 65,536 blocks, they are an empty string and zeros.
    """
    values = tf.io.decode_raw(contents, tf.uint8)
    count = tf.size(values)
    # Reading beyond the end gives zeros, which end every chain.
    values = tf.pad(values, [(0, 1)])

    def at(position):
        return tf.cast(values[tf.minimum(position, count)], tf.int32)

    def table(flags):  # the size of a table of colours, which need not be there
        size = tf.gather([3 * 2**bits for bits in range(1, 9)], flags % 8)
        return tf.where(flags >= 128, size, 0)

    def end_of_chain(position):
        last, _ = tf.while_loop(
            lambda position, block: at(position) > 0,
            lambda position, block: (position + 1 + at(position), block + 1),
            (position, 0),
            maximum_iterations=_MOST_BLOCKS,
        )
        return last + 1

    start = tf.while_loop(
        lambda position: at(position) == ord("!"),
        lambda position: [end_of_chain(position + 2)],
        [13 + table(at(10))],
        maximum_iterations=_MOST_BLOCKS,
    )[0]
    end = end_of_chain(start + 10 + table(at(start + 9)) + 1)
    whole = tf.logical_and(at(start) == ord(","), end <= count)
    whole = tf.logical_and(whole, at(end - 1) == 0)
    size = tf.stack(
        [at(start + 7) + 256 * at(start + 8), at(start + 5) + 256 * at(start + 6)]
    )
    frame = tf.strings.join([tf.strings.substr(contents, 0, end), b";"])
    return tf.cond(
        whole,
        lambda: (frame, tf.cast(size, tf.int64)),
        lambda: (tf.constant(b""), tf.zeros(2, tf.int64)),
    )
