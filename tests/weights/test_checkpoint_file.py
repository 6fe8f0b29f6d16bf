"""Files are known by their first bytes, and their arrays stay where they are."""

import io
import json
import pickle
import struct
import zipfile

import numpy as np
import pytest
import tensorflow as tf
from safetensors.numpy import save_file

from semivit_tf.weights.checkpoint_file import GRID, WHOLE, open_checkpoint
from semivit_tf.weights.npz_file import read_npz
from semivit_tf.weights.weights_error import WeightsError, blaming
from tests.weights.files import FIXTURES, zipped


def keys(path):
    with blaming(path), open_checkpoint(path) as file:
        return {key: len(arrays) for key, arrays in file.networks.items()}


@pytest.mark.parametrize(
    "file, found",
    [
        ("vit_token.pth", {"model": 32}),
        ("vit_token.npz", {WHOLE: 40}),
        ("vit_mean.safetensors", {WHOLE: 32}),
        ("vit_mean.legacy.pth", {WHOLE: 32}),
        ("semi_vit.pth", {"model_ema": 32, "model": 32}),
        ("dino.pth", {"teacher": 33, "student": 33}),
    ],
)
def test_networks_of_published_files(file, found, tmp_path):
    assert keys(FIXTURES / file) == found
    # A suffix says nothing.
    path = tmp_path / "weights.txt"
    path.write_bytes((FIXTURES / file).read_bytes())
    assert keys(path) == found


@pytest.mark.parametrize(
    "content, message",
    [
        (b"", "should start like one of torch, safetensors or numpy"),
        (b"\x89HDF\r\n\x1a\n", r"Received: .*HDF"),
        (b"\x80\x04N.", "should start like"),
        (b"\x93NUMPY\x01\x00", "should start like"),
        (b"PK\x03\x04", "cannot be read: File is not a zip file"),
        (b"\xff" * 8 + b"{", "cannot be read: .*header too large"),
        (struct.pack("<Q", 2) + b"{}", "the file holds no weights"),
        (struct.pack("<Q", 2) + b"{]", "cannot be read: .*invalid JSON"),
    ],
)
def test_other_files_are_refused(tmp_path, content, message):
    path = tmp_path / "file"
    path.write_bytes(content)
    with pytest.raises(WeightsError, match=f"^{path}.*{message}"):
        keys(path)


def test_missing_files_and_folders(tmp_path):
    with pytest.raises(WeightsError, match="absent does not exist"):
        keys(tmp_path / "absent")
    with pytest.raises(WeightsError, match="cannot be read: .*Is a directory"):
        keys(tmp_path)


@pytest.mark.parametrize("content", [[], 1, "text", {}, {"model": 1}, {"a": [1]}])
def test_content_without_weights(tmp_path, content):
    path = tmp_path / "file"
    path.write_bytes(zipped(pickle.dumps(content, 2)))
    with pytest.raises(
        WeightsError, match="dict of names and weights|holds no weights"
    ):
        keys(path)


# === npz ===


def archive(**members):
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w") as file:
        for name, content in members.items():
            file.writestr(f"{name}.npy", content)
    return zipfile.ZipFile(io.BytesIO(stream.getvalue()))


def npy(array, **options):
    stream = io.BytesIO()
    np.lib.format.write_array(stream, np.asarray(array), **options)
    return stream.getvalue()


@pytest.mark.parametrize("version", [(1, 0), (2, 0), (3, 0)])
@pytest.mark.parametrize("kind", ["f2", ">f4", "f8"])
def test_arrays_of_numpy(version, kind):
    array = np.arange(12).reshape(3, 4).astype(kind)
    for order in "CF":
        content = npy(np.asarray(array, order=order), version=version)
        found = read_npz(archive(x=content))["x"]
        assert found.shape == (3, 4)
        np.testing.assert_array_equal(found.read(), array)
    assert read_npz(archive(x=npy(np.float32(2))))["x"].read() == 2


def test_compressed_arrays_of_numpy(tmp_path):
    np.savez_compressed(tmp_path / "a.npz", x=np.ones((4, 5)))
    with zipfile.ZipFile(tmp_path / "a.npz") as file:
        np.testing.assert_array_equal(read_npz(file)["x"].read(), np.ones((4, 5)))


def test_arrays_that_are_no_numbers_are_refused():
    """Objects would be pickles; other headers are Python that nobody evaluates."""
    objects = npy(np.array([{}], object), allow_pickle=True)
    words = npy(np.array(["a"]))
    fields = npy(np.zeros(2, [("a", "f4")]))
    code = npy(np.zeros(2)).replace(b"(2,)", b"2**9")
    longer = npy(np.zeros(2)).replace(b"(2,)", b"(9,)")
    for content, message in (
        (objects, "no plain array"),
        (words, "no plain array"),
        (fields, "no plain array"),
        (code, "no plain array"),
        (longer, "another size than its shape says"),
        (npy(np.zeros(2))[:-1], "another size than its shape says"),
        (npy(np.zeros(2))[:60], "no plain array"),
        (b"\x93NUMPY\x09\x00", "does not start as one"),
        (b"", "does not start as one"),
    ):
        with pytest.raises(WeightsError, match=message):
            read_npz(archive(x=content))


def test_impossible_shapes_are_refused():
    before, after = b"(2,), }" + b" " * 49, b"(" + b"9" * 50 + b",), }"
    content = npy(np.zeros(2)).replace(before, after)
    assert after in content
    with pytest.raises(WeightsError, match="impossible shape"):
        read_npz(archive(x=content))


# === safetensors ===


def test_half_precision_of_safetensors(tmp_path):
    path = tmp_path / "file"
    values = np.array([1, 0.5, -2])
    kinds = {"a": "f2", "b": tf.bfloat16.as_numpy_dtype, "c": "f8"}
    save_file({name: values.astype(kind) for name, kind in kinds.items()}, path)
    with open_checkpoint(path) as file:
        for array in file.networks[WHOLE].values():
            np.testing.assert_array_equal(array.read(), values)
            assert array.read().dtype == "float32"


def test_integers_of_safetensors_are_no_weights(tmp_path):
    save_file({"a": np.arange(3)}, tmp_path / "file")
    with open_checkpoint(tmp_path / "file") as file:
        with pytest.raises(WeightsError, match="should be floats. Received: I64"):
            file.networks[WHOLE]["a"].read()


@pytest.mark.parametrize(
    "grid", ["[1]", '"a"', "[1, 2.5]", "{}", "[true, 1]", "[0, 4]"]
)
def test_a_grid_that_is_none_is_refused(tmp_path, grid):
    save_file({"a": np.zeros(3, "f4")}, tmp_path / "file", {GRID: grid})
    with pytest.raises(WeightsError, match="grid should be two positive integers"):
        keys(tmp_path / "file")
    save_file({"a": np.zeros(3, "f4")}, tmp_path / "file", {GRID: json.dumps([2, 3])})
    with open_checkpoint(tmp_path / "file") as file:
        assert file.grid == (2, 3)
