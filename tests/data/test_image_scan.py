"""Every image is read once: right pixels, right reasons, and the same after saving."""

import dataclasses
import io
import os

import numpy as np
import pytest
import tensorflow as tf
from PIL import Image
from sklearn.datasets import load_sample_images

from semivit_tf.augment.decoding import decode
from semivit_tf.data.array_source import ArraySource
from semivit_tf.data.encoded_source import EncodedSource
from semivit_tf.data.image_faults import jpeg_orientation
from semivit_tf.data.image_scan import ImageScan, scan


class Files(EncodedSource):
    """Images of files, named by their paths."""

    def __init__(self, paths):
        super().__init__([-1] * len(paths), ["any"])
        self.paths = [str(path) for path in paths]

    def name(self, index):
        return self.paths[index]

    def contents(self, index):
        return tf.io.read_file(tf.gather(self.paths, index))


def encoded(image, kind, **options):
    file = io.BytesIO()
    image.save(file, kind, **options)
    return file.getvalue()


@pytest.fixture(scope="module")
def photo():
    return Image.fromarray(load_sample_images().images[0]).resize((160, 100))


def scan_of(folder, contents):
    paths = []
    for number, content in enumerate(contents):
        paths.append(folder / f"{number}.jpg")
        paths[-1].write_bytes(content)
    return scan(Files(paths), threads=2)


def test_a_scan_holds_sizes_and_digests_of_decoded_pixels(tmp_path, photo):
    png, bmp = encoded(photo, "PNG"), encoded(photo, "BMP")
    small = encoded(photo.resize((20, 10)), "PNG")
    found = scan_of(tmp_path, [png, bmp, small, encoded(photo, "JPEG")])
    np.testing.assert_array_equal(found.heights, [100, 100, 10, 100])
    np.testing.assert_array_equal(found.widths, [160, 160, 20, 160])
    assert found.readable.all() and found.reason(0) == ""
    digests = [bytes(digest) for digest in found.digests]
    assert digests[0] == digests[1] and len(set(digests)) == 3


def test_arrays_and_files_of_the_same_pixels_agree(tmp_path, photo):
    files = scan_of(tmp_path, [encoded(photo, "PNG")])
    arrays = scan(ArraySource(np.asarray(photo)[None], [0], ["a"]))
    np.testing.assert_array_equal(files.digests, arrays.digests)
    np.testing.assert_array_equal(files.fingerprints, arrays.fingerprints)
    assert (arrays.heights[0], arrays.widths[0]) == (100, 160)


def test_an_image_leaves_few_bytes():
    images = np.zeros((1000, 4, 4, 1), "uint8")
    found = scan(ArraySource(images, [0] * 1000, ["a"]))
    arrays = [value for value in vars(found).values() if hasattr(value, "nbytes")]
    assert sum(array.nbytes for array in arrays) == 1000 * 221 + 16


def test_threads_and_progress_do_not_change_what_is_found(tmp_path, photo):
    contents = [encoded(photo.rotate(k), "PNG") for k in range(150)]
    contents[77] = b""
    paths = [tmp_path / f"{number}" for number in range(150)]
    for path, content in zip(paths, contents, strict=True):
        path.write_bytes(content)
    seen = []
    one = scan(Files(paths), threads=1)
    two = scan(Files(paths), lambda *progress: seen.append(progress), threads=2)
    assert seen == [(64, 150), (128, 150), (150, 150)]
    assert one.reason(77) == two.reason(77) == "empty file"
    for name, value in vars(one).items():
        np.testing.assert_array_equal(value, getattr(two, name))


# === A hostile folder ===


def reason_of(folder, content):
    return scan_of(folder, [content]).reason(0)


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (b"", "empty file"),
        (b"not an image\n", "not an image: text"),
        (b"<!DOCTYPE html><html>", "not an image: a web page (HTML)"),
        (bytes(500), "not an image: nothing but zeros"),
        (bytes(range(1, 255)), "not an image: unknown format"),
        (
            b"version https://git-lfs.github.com/spec/v1\noid sha256:12\n",
            "not an image: a Git LFS pointer: `git lfs pull` gets the file",
        ),
        (b"%PDF-1.7\n\x00", "not an image: a PDF"),
        (b"\0\0\0\x1cftypheic\0\0\0\0", "HEIC, which TensorFlow cannot decode"),
    ],
)
def test_what_is_no_image_is_named(tmp_path, content, reason):
    assert reason_of(tmp_path, content) == reason


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "BMP", "WebP", "GIF"])
def test_truncated_files_are_named(tmp_path, photo, kind):
    content = encoded(photo, kind)
    for size in (30, len(content) // 2):
        assert reason_of(tmp_path, content[:size]) == f"truncated {kind}"


def test_other_faults_of_image_files_are_named(tmp_path, photo):
    broken = bytearray(encoded(photo, "PNG"))
    broken[len(broken) // 2] ^= 255
    contents = [
        bytes(broken),
        encoded(photo, "TIFF"),
        encoded(photo.convert("1"), "BMP"),
        encoded(photo.convert("P"), "BMP"),
        encoded(photo.convert("L"), "BMP"),
    ]
    found = scan_of(tmp_path, contents)
    assert [found.reason(index) for index in range(5)] == [
        "broken PNG",
        "TIFF, which TensorFlow cannot decode",
        "1-bit BMP, which TensorFlow cannot decode",
        "BMP with a colour table, which TensorFlow ignores",
        "",
    ]
    np.testing.assert_array_equal(found.heights, [0, 0, 0, 0, 100])
    assert not found.digests[:4].any() and not found.fingerprints[:4].any()


def test_files_that_cannot_be_read_are_named(tmp_path, photo):
    good, link, folder = tmp_path / "good", tmp_path / "link.jpg", tmp_path / "folder"
    good.write_bytes(encoded(photo, "PNG"))
    link.symlink_to(tmp_path / "nothing")
    folder.mkdir()
    found = scan(Files([link, good, folder, tmp_path / "missing.png"]))
    assert [found.reason(index) for index in range(4)] == [
        "file not found, or a broken link",
        "",
        "a folder, not a file",
        "file not found, or a broken link",
    ]


def test_files_without_permission_are_named(tmp_path, photo):
    path = tmp_path / "secret.png"
    path.write_bytes(encoded(photo, "PNG"))
    path.chmod(0)
    if os.access(path, os.R_OK):
        pytest.skip("root reads any file")
    assert scan(Files([path])).reason(0) == "no permission to read the file"


class Failing(EncodedSource):
    """A source whose reading fails in Python."""

    def __init__(self, error):
        super().__init__([-1], ["any"])
        self.error = error

    def name(self, index):
        return "it"

    def contents(self, index):
        def fail(index):
            raise self.error

        return tf.numpy_function(fail, [index], tf.string)


@pytest.mark.parametrize(
    ("error", "reason"),
    [
        (OSError("the disk is gone"), "OSError: the disk is gone"),
        (PermissionError(13, "no", "a.tar"), "PermissionError: [Errno 13] no: 'a.tar'"),
        (ValueError("it changed"), "ValueError: it changed"),
        (tf.errors.DataLossError(None, None, "cut"), "DataLossError: cut"),
    ],
)
def test_errors_of_a_source_become_reasons(error, reason):
    assert scan(Failing(error)).reason(0) == f"cannot be read: {reason}"


def test_errors_of_reading_become_reasons():
    message = "File system scheme 'odd' not implemented (file: 'odd://a')"
    assert scan(Files(["odd://a"])).reason(0) == f"cannot be read: {message}"


def test_unusual_images_have_the_pixels_that_pillow_sees(tmp_path, photo):
    palette = photo.convert("P")
    frames = [palette.rotate(angle) for angle in (90, 180)]
    contents = {
        "PNG named .jpg": encoded(photo, "PNG"),
        "CMYK JPEG": encoded(photo.convert("CMYK"), "JPEG"),
        "grey JPEG": encoded(photo.convert("L"), "JPEG"),
        "progressive JPEG": encoded(photo, "JPEG", progressive=True),
        "palette PNG with transparency": encoded(palette, "PNG", transparency=3),
        "PNG with alpha": encoded(photo.convert("RGBA"), "PNG"),
        "animated GIF": encoded(palette, "GIF", save_all=True, append_images=frames),
        "WebP": encoded(photo, "WEBP"),
        "1 x 1": encoded(photo.resize((1, 1)), "PNG"),
        "20000 x 20": encoded(photo.resize((20000, 20)), "PNG"),
    }
    found = scan_of(tmp_path, contents.values())
    for index, (name, content) in enumerate(contents.items()):
        pixels = np.asarray(Image.open(io.BytesIO(content)).convert("RGB"))
        assert found.reason(index) == "", name
        assert (found.heights[index], found.widths[index]) == pixels.shape[:2], name
        decoded = decode(tf.constant(content)).numpy()
        # Two JPEG decoders round differently.
        assert np.abs(decoded - pixels.astype(int)).max() <= 4, name


def test_sixteen_bit_pngs_keep_their_upper_byte(tmp_path):
    values = (np.arange(160 * 100).reshape(100, 160) * 4).astype("uint16")
    content = encoded(Image.fromarray(values), "PNG")
    assert reason_of(tmp_path, content) == ""
    decoded = decode(tf.constant(content)).numpy()
    assert np.abs(decoded[..., 0] - (values >> 8).astype(int)).max() <= 1


@pytest.mark.parametrize("orientation", [1, 3, 6, 8])
def test_exif_orientations_are_kept(tmp_path, photo, orientation):
    exif = Image.Exif()
    exif[0x0112] = orientation
    exif[0x010F] = "a camera"
    content = encoded(photo, "JPEG", exif=exif)
    found = scan_of(tmp_path, [content, encoded(photo, "JPEG")])
    np.testing.assert_array_equal(found.orientations, [orientation, 1])
    for size in range(0, 200, 3):  # never fails, whatever is cut
        assert 1 <= jpeg_orientation(content[:size]) <= 8


# === Saving ===


def test_a_scan_comes_back_from_its_file(tmp_path, photo):
    paths = [tmp_path / "a.png", tmp_path / "b.png"]
    paths[0].write_bytes(encoded(photo, "PNG"))
    found = scan(Files(paths))
    found.save(tmp_path / "scan")
    back = ImageScan.load(tmp_path / "scan", Files(paths))
    assert back.reasons == found.reasons == ("", "file not found, or a broken link")
    for name, value in vars(found).items():
        np.testing.assert_array_equal(value, getattr(back, name))


def test_a_scan_of_other_images_is_refused(tmp_path):
    images = np.zeros((3, 2, 2, 1), "uint8")
    scan(ArraySource(images, [0] * 3, ["a"])).save(tmp_path / "scan")
    with pytest.raises(ValueError, match="these 2 images. Received: a scan of 3"):
        ImageScan.load(tmp_path / "scan", Files(["a", "b"]))
    with pytest.raises(ValueError, match="Received: a scan of other images"):
        ImageScan.load(tmp_path / "scan", Files(["a", "b", "c"]))
    with pytest.raises(ValueError, match="Received: a scan of other images"):
        ImageScan.load(tmp_path / "scan", ArraySource(images + 1, [0] * 3, ["a"]))


@pytest.mark.parametrize("content", [b"", b"text", b"PK\3\4 cut"])
def test_other_files_are_refused(tmp_path, content):
    (tmp_path / "scan").write_bytes(content)
    with pytest.raises(ValueError, match="that `ImageScan.save` wrote. Received"):
        ImageScan.load(tmp_path / "scan")


def test_other_archives_and_arrays_are_refused(tmp_path):
    np.savez(tmp_path / "other.npz", format=np.array("something"))
    np.save(tmp_path / "other.npy", np.zeros(3))
    for name in ("other.npz", "other.npy"):
        with pytest.raises(ValueError, match="that `ImageScan.save` wrote"):
            ImageScan.load(tmp_path / name)


def test_a_damaged_scan_is_loaded_or_refused(tmp_path):
    """Also what an archive's own checksums do not cover."""
    images = np.zeros((3, 2, 2, 1), "uint8")
    scan(ArraySource(images, [0] * 3, ["a"])).save(tmp_path / "scan")
    whole, refused = (tmp_path / "scan").read_bytes(), 0
    draws = np.random.default_rng(0)
    for start in (0, len(whole) - 800):
        for place in range(max(0, start), len(whole), 3):
            damaged = bytearray(whole)
            damaged[place] = draws.integers(256)
            (tmp_path / "damaged").write_bytes(damaged)
            try:
                assert len(ImageScan.load(tmp_path / "damaged")) == 3
            except ValueError:
                refused += 1
    assert refused > 0.8 * len(whole) / 3


@pytest.mark.parametrize(
    ("field", "array"),
    [
        ("heights", np.zeros(3, "int64")),
        ("digests", np.zeros((3, 4), "uint8")),
        ("widths", np.zeros(2, "int32")),
        ("reason_numbers", np.full(3, 7, "int32")),
    ],
)
def test_a_scan_of_other_shapes_is_refused(field, array, tmp_path):
    images = np.zeros((3, 2, 2, 1), "uint8")
    found = scan(ArraySource(images, [0] * 3, ["a"]))
    dataclasses.replace(found, **{field: array}).save(tmp_path / "scan")
    with pytest.raises(ValueError, match="that `ImageScan.save` wrote"):
        ImageScan.load(tmp_path / "scan")


def test_wrong_arguments_are_refused():
    with pytest.raises(ValueError, match="at least 1. Received: 0"):
        scan(Files(["a"]), threads=0)
    odd = ArraySource(np.zeros((1, 2, 2, 4), "uint8"), [0], ["a"])
    with pytest.raises(ValueError, match="1 or 3 channels. Received: 4"):
        scan(odd)
