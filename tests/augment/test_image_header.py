"""What headers say: right for all formats, and the bound on what is decoded."""

import io
import time

import numpy as np
import pytest
import tensorflow as tf
from PIL import Image

from semivit_tf.augment.decoding import OpenImage, decode
from semivit_tf.augment.image_header import MAX_PIXELS, first_frame, image_size
from semivit_tf.config.data import DataConfig
from tests.data.files import encoded, huge_png, picture


@tf.function(input_signature=[tf.TensorSpec((), tf.string)])
def in_graph(contents):
    return image_size(contents)


def declaring(kind, height, width):
    """Returns a small file whose header declares another size."""
    content = bytearray(encoded(picture(1, (5, 7)), kind))
    if kind == "JPEG":
        start = content.index(b"\xff\xc0") + 5
        size = height.to_bytes(2, "big") + width.to_bytes(2, "big")
    elif kind == "GIF":  # of the frame; that of the screen is another
        start = content.index(b",\0\0\0\0") + 5
        size = width.to_bytes(2, "little") + height.to_bytes(2, "little")
    elif kind == "WebP":
        start, size = 26, width.to_bytes(2, "little") + height.to_bytes(2, "little")
    else:
        start, size = 18, width.to_bytes(4, "little") + height.to_bytes(4, "little")
    content[start : start + len(size)] = size
    return bytes(content)


BOMBS = {
    "PNG": huge_png(20_000, 5_001),
    "JPEG": declaring("JPEG", 20_000, 5_001),
    "GIF": declaring("GIF", 20_000, 5_001),
    "WebP": declaring("WebP", 16_000, 16_001),
    "BMP": declaring("BMP", 2**31 - 1, 2**31 - 1),
    "BMP upside down": declaring("BMP", 2**32 - 20_000, 5_001),
}


@pytest.mark.parametrize(
    ("kind", "options"),
    [
        ("JPEG", {}),
        ("JPEG", {"progressive": True}),
        ("PNG", {}),
        ("BMP", {}),
        ("GIF", {}),
        ("WebP", {}),
        ("WebP", {"lossless": True}),
        ("WebP", {"exif": b"Exif\0\0abc"}),
    ],
)
def test_a_header_says_the_size_of_the_decoded_image(kind, options):
    content = encoded(picture(0, (300, 17)), kind, **options)
    assert in_graph(content).numpy().tolist() == [300, 17]
    assert image_size(content).numpy().tolist() == [300, 17]
    assert decode(content).shape == (300, 17, 3)


@pytest.mark.parametrize("kind", ["PNG", "GIF", "BMP", "WebP"])
def test_a_cut_header_says_nothing_wrong(kind):
    content = encoded(picture(0, (40, 48)), kind)
    for size in range(20):
        assert in_graph(content[:size]).numpy().max() <= 48


def test_other_files_have_no_size():
    for content in (b"", b"text", bytes(100)):
        assert in_graph(content).numpy().tolist() == [0, 0]


@pytest.mark.parametrize("kind", BOMBS)
def test_an_image_too_large_is_refused_before_it_is_decoded(kind):
    content = BOMBS[kind]
    for read in (decode, OpenImage, tf.function(decode)):
        with pytest.raises(tf.errors.InvalidArgumentError, match="Image too large"):
            read(tf.constant(content))


def test_the_limit_is_met_exactly():
    content = encoded(picture(0, (30, 20)), "PNG")
    in_graph_decode = tf.function(lambda content: decode(content, max_pixels=599))
    assert decode(content, max_pixels=600).shape == (30, 20, 3)
    with pytest.raises(tf.errors.InvalidArgumentError, match="20.*x.*30.*pixels"):
        in_graph_decode(content)


def test_the_flag_has_the_same_default():
    assert DataConfig().max_pixels == MAX_PIXELS


# === GIFs of many frames ===


def animated(frames, size=(40, 48), **options):
    pictures = [Image.fromarray(picture(number, size)) for number in range(frames)]
    first, *others = [one.convert("P") for one in pictures]
    file = io.BytesIO()
    first.save(file, "GIF", save_all=True, append_images=others, **options)
    return file.getvalue()


@pytest.mark.parametrize("options", [{}, {"comment": b"long " * 200}, {"loop": 0}])
def test_the_first_frame_is_cut_out(options):
    content = animated(5, **options)
    frame, size = first_frame(content)
    with Image.open(io.BytesIO(frame.numpy())) as alone:
        assert alone.n_frames == 1
        expected = np.asarray(alone.convert("RGB"))
    assert size.numpy().tolist() == [40, 48]
    with Image.open(io.BytesIO(content)) as whole:
        np.testing.assert_array_equal(whole.convert("RGB"), expected)
    np.testing.assert_array_equal(decode(content), expected)


def test_a_gif_without_a_whole_first_frame_is_refused():
    content = animated(1)
    for size in (6, 13, 800, len(content) // 2):
        frame, declared = first_frame(content[:size])
        assert frame.numpy() == b"" and declared.numpy().tolist() == [0, 0]
        with pytest.raises(tf.errors.InvalidArgumentError):
            decode(content[:size])


def test_frames_that_are_not_shown_cost_nothing():
    one = animated(1, (400, 400))
    start = one.index(b",\0\0\0\0")
    many = tf.constant(one[:-1] + one[start:-1] * 300 + b";")
    expected = decode(one)
    started = time.process_time()
    np.testing.assert_array_equal(decode(many), expected)
    first = time.process_time() - started
    started = time.process_time()
    frames = tf.io.decode_image(many, channels=3, expand_animations=False)
    np.testing.assert_array_equal(frames, expected)
    assert first < (time.process_time() - started) / 3


def test_a_chain_of_blocks_without_end_is_given_up():
    content = b"GIF89a\1\0\1\0\0\0\0" + b"!\xfe" + b"\1x" * 200_000
    started = time.process_time()
    assert first_frame(content)[0].numpy() == b""
    assert time.process_time() - started < 20
