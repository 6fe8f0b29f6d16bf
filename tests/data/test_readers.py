"""Readers of files that people have: whatever is in them, right data or one line."""

import contextlib
import csv
import gzip
import io
import os
import pathlib
import struct
import tempfile
import zipfile

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from semivit_tf.data.array_source import ArraySource
from semivit_tf.data.csv_list import load_csv
from semivit_tf.data.folder import load_folder
from semivit_tf.data.idx_files import load_idx, read_idx
from semivit_tf.data.image_scan import ImageScan, scan
from semivit_tf.data.npz_file import load_npz
from tests.data.files import encoded, picture, write_mnist_like
from tests.generated import bounded, few_bytes

WORDS = st.text("abC0._- \u732b\n\"';,\x1b", min_size=1, max_size=6)


def read_or_refuse(read):
    """Returns what a reader returns, or None where it refuses in one line."""
    try:
        with few_bytes():
            return read()
    except ValueError as error:
        assert str(error) and "\n" not in str(error)
        return None


def check_parts(parts):
    for source in (parts.train, parts.test):
        if source is not None:
            assert len(source) == len(source.names()) == len(source.labels)
            assert (source.labels >= -1).all()
            assert (source.labels < len(source.class_names)).all()
    given = parts.validation
    assert ((given >= 0) & (given < len(parts.train))).all()


@st.composite
def damaged(draw, content):
    """Draws a file with a few changed, lost or repeated bytes."""
    content = bytearray(content)
    for _ in range(draw(st.integers(1, 4))):
        place = draw(st.integers(0, len(content) - 1)) if content else 0
        length = draw(st.integers(1, 12))
        kind = draw(st.sampled_from(["change", "lose", "repeat", "end"]))
        if kind == "change":
            content[place : place + length] = draw(st.binary(max_size=length))
        elif kind == "lose":
            del content[place : place + length]
        elif kind == "repeat":
            content[place:place] = content[place : place + length]
        else:
            del content[place:]
    return bytes(content)


@pytest.fixture
def folder(tmp_path):
    """A new empty folder at each call."""

    def make():
        return pathlib.Path(tempfile.mkdtemp(dir=tmp_path))

    return make


# === Arrays ===


def npz(**members):
    file = io.BytesIO()
    np.savez(file, **members)
    return file.getvalue()


IMAGES = np.arange(5 * 4 * 3, dtype="uint8").reshape(5, 4, 3, 1)
GOOD_NPZ = npz(x_train=IMAGES, y_train=np.array([0, 1, -1, 0, 1]), x_test=IMAGES[:0])


@bounded
@given(
    images=arrays.arrays("uint8", arrays.array_shapes(min_dims=2, max_dims=5)),
    labels=arrays.arrays(
        arrays.scalar_dtypes(), arrays.array_shapes(max_dims=2, max_side=4)
    ),
    order=st.sampled_from("CF"),
)
def test_npz_gives_what_was_saved_or_is_refused(folder, images, labels, order):
    path = folder() / "data.npz"
    np.savez(path, x_train=np.asarray(images, order=order), y_train=labels)
    parts = read_or_refuse(lambda: load_npz(path))
    fits = images.ndim in (3, 4) and labels.size == len(images)
    if parts is None:
        assert not fits or labels.dtype.kind not in "iub" or _odd(labels)
    else:
        check_parts(parts)
        np.testing.assert_array_equal(
            parts.train.images, images[..., None] if images.ndim == 3 else images
        )
        np.testing.assert_array_equal(parts.train.labels, labels.reshape(-1))


def _odd(labels):
    return labels.astype(object).min() < -1 or labels.astype(object).max() >= 1000


@bounded
@given(content=st.one_of(damaged(GOOD_NPZ), st.binary(max_size=200)))
def test_damaged_npz_is_read_or_refused(folder, content):
    path = folder() / "data.npz"
    path.write_bytes(content)
    parts = read_or_refuse(lambda: load_npz(path))
    if parts is not None:
        check_parts(parts)


def array_header(shape, kind="|u1"):
    text = f"{{'descr': '{kind}', 'fortran_order': False, 'shape': {shape}, }}"
    text += " " * (117 - len(text)) + "\n"
    return b"\x93NUMPY\1\0" + struct.pack("<H", len(text)) + text.encode()


@bounded
@given(
    shape=st.lists(st.integers(0, 2**62), min_size=1, max_size=4).map(tuple),
    kind=st.sampled_from(["|u1", "<f8", "<i2", "|b1", "<U9"]),
    declared=st.integers(0, 2**32 - 2),
    packed=st.booleans(),
)
def test_sizes_that_npz_headers_declare_are_not_allocated(
    folder, shape, kind, declared, packed
):
    path = folder() / "data.npz"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED * packed) as archive:
        for name in ("x_train", "y_train"):
            archive.writestr(f"{name}.npy", array_header(shape, kind) + bytes(50))
    content = bytearray(path.read_bytes())
    place = content.rindex(b"PK\1\2") + 24  # where the archive says how much there is
    content[place : place + 4] = declared.to_bytes(4, "little")
    for lie in (path.read_bytes(), bytes(content)):
        path.write_bytes(lie)
        read_or_refuse(lambda: load_npz(path))
        with pytest.raises(ValueError, match="should be a file that `ImageScan"):
            ImageScan.load(path)


@bounded
@given(
    shape=st.lists(st.integers(0, 2**32 - 1), max_size=6),
    body=st.binary(max_size=60),
    packed=st.booleans(),
    exact=st.booleans(),
)
def test_an_idx_file_holds_what_its_header_says(folder, shape, body, packed, exact):
    shape = [len(body)] if exact else shape
    content = b"\0\0\x08" + bytes([len(shape)])
    content += struct.pack(f">{len(shape)}I", *shape) + body
    path = folder() / ("file.gz" if packed else "file")
    path.write_bytes(gzip.compress(content) if packed else content)
    found = read_or_refuse(lambda: read_idx(path))
    if found is not None:
        assert list(found.shape) == shape and found.tobytes() == body
    assert found is not None or not exact


@bounded
@given(data=st.data())
def test_damaged_idx_files_are_read_or_refused(folder, data):
    root = folder()
    write_mnist_like(root, 6, 3)
    path = data.draw(st.sampled_from(sorted(root.iterdir())))
    path.write_bytes(data.draw(damaged(path.read_bytes())))
    parts = read_or_refuse(lambda: load_idx(root))
    if parts is not None:
        check_parts(parts)


# === Lists of files ===

CELLS = st.one_of(WORDS, st.sampled_from(["", "train", "test", "val", "unlabeled"]))


@bounded
@given(
    columns=st.permutations(["path", "label", "split", "group", "other"]),
    rows=st.lists(st.lists(CELLS, max_size=6), max_size=6),
    newline=st.sampled_from(["\n", "\r\n"]),
)
def test_a_table_is_read_as_csv_reads_it_or_refused(folder, columns, rows, newline):
    path = folder() / "labels.csv"
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file, lineterminator=newline)
        writer.writerows([columns, *rows])
    parts = read_or_refuse(lambda: load_csv(path))
    if parts is not None:
        check_parts(parts)
        listed = sum(bool(row) for row in rows)
        assert len(parts.train) + len(parts.test or ()) == listed


TABLE = "path,label,split,group\na.png,cat,,1\nb.png,,unlabeled,\nc.png,dog,test,2\n"


@bounded
@given(
    st.one_of(damaged(TABLE.encode()), damaged(TABLE.encode("utf-16")), st.binary()),
    st.sampled_from([b"", b"\0", b"x" * 200_000]),
)
def test_damaged_tables_are_read_or_refused(folder, content, more):
    path = folder() / "labels.csv"
    path.write_bytes(content + more)
    parts = read_or_refuse(lambda: load_csv(path))
    if parts is not None:
        check_parts(parts)


NAMES = WORDS.filter(lambda name: name.strip("."))


@bounded
@given(
    files=st.dictionaries(
        st.lists(
            st.one_of(NAMES, st.sampled_from(["train", "test", "val", "unlabeled"])),
            min_size=1,
            max_size=4,
        ).map(tuple),
        st.sampled_from([".jpg", ".png", ".txt", ""]),
        max_size=8,
    )
)
def test_a_folder_lists_each_image_once(folder, files):
    root = folder()
    for parts, suffix in files.items():
        with contextlib.suppress(OSError):  # a file where a folder is needed
            path = root.joinpath(*parts[:-1], parts[-1] + suffix)
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(b"")
    parts = read_or_refuse(lambda: load_folder(root))
    if parts is None:
        return
    check_parts(parts)
    for source in filter(None, (parts.train, parts.test)):
        paths = [os.fsdecode(path) for path in source._paths.numpy()]
        assert len(set(paths)) == len(paths)
        for path, label in zip(paths, source.labels, strict=True):
            assert (root / path).is_file() and path.endswith((".jpg", ".png"))
            assert not any(part.startswith(".") for part in pathlib.Path(path).parts)
            kind = source.class_names[label] if label >= 0 else "unlabeled"
            assert kind in pathlib.Path(path).parts[:-1]


# === Scans ===


@pytest.fixture(scope="module")
def scanned(tmp_path_factory):
    images = np.stack([picture(number, (8, 9)) for number in range(3)])
    source = ArraySource(images, [0, 0, 0], ["a"])
    path = tmp_path_factory.mktemp("scan") / "scan.npz"
    scan(source).save(path)
    return source, path.read_bytes()


@bounded
@given(data=st.data())
def test_damaged_scans_are_the_same_or_refused(folder, scanned, data):
    source, content = scanned
    path = folder() / "scan.npz"
    path.write_bytes(data.draw(damaged(content)))
    found = read_or_refuse(lambda: ImageScan.load(path, source))
    if found is not None:
        expected = scan(source)
        for name, value in vars(expected).items():
            np.testing.assert_array_equal(value, getattr(found, name))


FIELDS = st.one_of(
    arrays.arrays(
        st.sampled_from(["int32", "uint8", "float16", "<U3", "bool"]),
        arrays.array_shapes(min_dims=0, max_dims=3, max_side=4),
    ),
    st.just(None),
)


@bounded
@given(changed=st.sampled_from(sorted(ImageScan.__dataclass_fields__)), value=FIELDS)
def test_scans_with_another_field_are_refused(folder, scanned, changed, value):
    source, content = scanned
    with np.load(io.BytesIO(content)) as file:
        fields = dict(file)
    same = value is not None and np.array_equal(fields[changed], value)
    del fields[changed]
    path = folder() / "scan.npz"
    np.savez(path, **fields, **({} if value is None else {changed: value}))
    found = read_or_refuse(lambda: ImageScan.load(path, source))
    if found is not None:
        assert same or len(found) == len(found.readable) == 3
        assert [found.reason(index) is not None for index in range(3)] == [True] * 3


def test_a_picture_in_the_place_of_any_file_is_refused(tmp_path):
    path = tmp_path / "file"
    path.write_bytes(encoded(picture(0), "PNG"))
    for read in (load_npz, load_csv, ImageScan.load, read_idx):
        with pytest.raises(ValueError, match="file"):
            read(path)
