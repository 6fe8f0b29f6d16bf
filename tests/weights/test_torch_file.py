"""Tensors of PyTorch files, without PyTorch."""

import io
import pickle
import struct
import zipfile

import numpy as np
import pytest

from semivit_tf.weights import torch_file
from semivit_tf.weights.stored_array import StoredArray
from semivit_tf.weights.torch_file import read_legacy, read_zip
from semivit_tf.weights.weights_error import WeightsError
from tests.weights.files import (
    FIXTURES,
    expected,
    legacy,
    tensor_program,
    zipped,
)

SIX = np.arange(6, dtype="<f4")


def read(content):
    """Reads a file of either kind that is given as bytes."""
    if content.startswith(b"PK"):
        return read_zip(zipfile.ZipFile(io.BytesIO(content)))
    return read_legacy(io.BytesIO(content))


def both(numbers=SIX, **parts):
    """The same tensor in a file of either kind."""
    count = parts.pop("stored", len(numbers))
    old = tensor_program(**parts).replace(b"tQ", b"NtQ")
    return [
        zipped(tensor_program(**parts), {"0": numbers.tobytes()}),
        legacy(old, {"0": (count, numbers.tobytes())}),
    ]


# === What PyTorch writes ===


@pytest.mark.parametrize("file", ["tensors.pth", "tensors.legacy.pth"])
def test_all_kinds_of_tensors_equal_pytorch(file):
    wanted = expected()
    found = read((FIXTURES / file).read_bytes())
    assert len(found) == 12
    for name, tensor in found.items():
        array = np.asarray(tensor.load())
        assert array.shape == tensor.shape == wanted[f"tensor_{name}"].shape
        np.testing.assert_array_equal(array, wanted[f"tensor_{name}"], err_msg=name)


@pytest.mark.parametrize("file", ["tensors.pth", "tensors.legacy.pth"])
def test_only_floats_are_weights(file):
    found = read((FIXTURES / file).read_bytes())
    assert found["bfloat16"].read().dtype == found["double"].read().dtype == "float32"
    with pytest.raises(WeightsError, match="should be floats. Received: int64"):
        found["integers"].read()


def test_numbers_that_are_none_are_refused():
    for value in (np.nan, np.inf):
        numbers = np.array([0, 1, 2, value, 4, 5], "f4")
        for content in both(numbers):
            with pytest.raises(WeightsError, match="should be finite"):
                read(content)["x"].read()


def test_big_endian_archives():
    content = io.BytesIO()
    with zipfile.ZipFile(content, "w") as archive:
        archive.writestr("a/data.pkl", tensor_program())
        archive.writestr("a/data/0", SIX.astype(">f4").tobytes())
        archive.writestr("a/byteorder", b"big")
    np.testing.assert_array_equal(
        read(content.getvalue())["x"].read(), SIX.reshape(2, 3)
    )


def test_a_view_of_a_legacy_storage():
    program = tensor_program(count="I6\n").replace(b"tQ", b"(S'v'\nI2\nI4\nttQ")
    program = program.replace(b"(I2\nI3\nt(I3\nI1\nt", b"(I4\nt(I1\nt")
    found = read(legacy(program, {"0": (6, SIX.tobytes())}))["x"].read()
    np.testing.assert_array_equal(found, [2, 3, 4, 5])
    with pytest.raises(WeightsError, match="shorter than it should be"):
        read(legacy(program.replace(b"I2\nI4", b"I3\nI4"), {"0": (6, SIX.tobytes())}))


def test_what_training_leaves_in_a_file_is_thrown_away():
    found = read((FIXTURES / "semi_vit.pth").read_bytes())
    assert found["scaler"] == {"scale": 65536.0} and found["epoch"] == 3
    assert not isinstance(found["args"], StoredArray | dict)
    assert found["optimizer"]["param_groups"][0]["lr"] == 1e-3
    assert found["optimizer"]["state"][0]["exp_avg"].shape == (3,)


# === Bounds ===


@pytest.mark.parametrize(
    "parts, message",
    [
        ({"offset": "I1\n"}, "reaches beyond"),
        ({"shape": "(I3\nI3\nt"}, "reaches beyond"),
        ({"strides": "(I4\nI1\nt"}, "reaches beyond"),
        ({"strides": "(I0\nI1\nt", "shape": "(I3\nI3\nt"}, "reaches beyond"),
        ({"strides": "(I0\nI0\nt", "shape": f"(I{2**40}\nI{2**40}\nt"}, "beyond"),
        ({"strides": "(I-1\nI1\nt"}, "described in an unknown way"),
        ({"offset": "I-1\n"}, "described in an unknown way"),
        ({"offset": "N"}, "described in an unknown way"),
        ({"offset": "I01\n"}, "described in an unknown way"),
        ({"shape": f"(L{10**400}L\nI3\nt"}, "described in an unknown way"),
        ({"shape": "(I2\nt"}, "described in an unknown way"),
        ({"shape": "(" + "I1\n" * 17 + "t"}, "described in an unknown way"),
        ({"shape": "]", "strides": "]"}, "described in an unknown way"),
        ({"kind": "QUInt8Storage"}, "asks for 'torch.QUInt8Storage'"),
        ({"kind": "Size"}, "refers to data in an unknown way"),
        ({"count": "I-6\n"}, "refers to data in an unknown way"),
        ({"count": f"I{2**60}\n"}, "refers to data in an unknown way"),
        ({"count": "N"}, "refers to data in an unknown way"),
    ],
)
def test_views_beyond_their_storage_are_refused(parts, message):
    for content in both(**parts):
        with pytest.raises(WeightsError, match=message):
            read(content)


def test_storages_shorter_than_they_claim_are_refused():
    archive, old = both(SIX[:5])
    with pytest.raises(WeightsError, match="shorter than it should be"):
        read(archive)
    with pytest.raises(WeightsError, match="not where it should be"):
        read(old)
    with pytest.raises(WeightsError, match="ends before its storages do"):
        read(both(SIX[:5], stored=6)[1])
    huge = both(count=f"I{2**40}\n", stored=2**40)
    with pytest.raises(WeightsError, match="shorter than it should be"):
        read(huge[0])
    with pytest.raises(WeightsError, match="ends before its storages do"):
        read(huge[1])


@pytest.mark.parametrize("size", [0, 3])
def test_empty_tensors_are_empty(size):
    parts = {"shape": f"(I0\nI{size}\nt", "strides": "(I1\nI1\nt"}
    for content in both(**parts):
        assert read(content)["x"].read().shape == (0, size)


@pytest.mark.parametrize(
    "reference",
    [
        b"(t",
        b"I1\n",
        b"N",
        b"(NNNNNt",
        b"(S'storage'\nctorch\nFloatStorage\nNNI6\nt",
        b"(S'module'\nctorch\nFloatStorage\nS'0'\nS'cpu'\nI6\nt",
        b"(S'storage'\nS'FloatStorage'\nS'0'\nS'cpu'\nI6\nt",
    ],
)
def test_persistent_ids_of_another_form_are_refused(reference):
    for content in (zipped(reference + b"Q."), legacy(reference + b"Q.")):
        with pytest.raises(WeightsError, match="refers to data in an unknown way"):
            read(content)


@pytest.mark.parametrize(
    "call",
    [
        b"ctorch._utils\n_rebuild_tensor_v2\n)R.",
        b"ctorch._utils\n_rebuild_tensor_v2\n(NNNNNNNNNNNtR.",
        b"ctorch._utils\n_rebuild_tensor\n(I1\nI1\n)))tR.",
        b"ctorch._utils\n_rebuild_parameter\n)R.",
        b"ctorch._utils\n_rebuild_parameter\n(I1\nI01\n}tR.",
        b"ctorch\nSize\n)R.",
        b"ctorch\nSize\n((I-1\nttR.",
        b"ctorch\nSize\n(NtR.",
        b"ccollections\nOrderedDict\n(I1\ntR.",
        b"ccollections\nOrderedDict\n(NNtR.",
        b"ccollections\nOrderedDict\n((lp0\n(NtatR.",
        b"ccollections\nOrderedDict\n((lp0\n(]NtatR.",
    ],
)
def test_functions_of_ours_with_absurd_arguments_refuse_them(call):
    for content in (zipped(call), legacy(call)):
        with pytest.raises(WeightsError, match="in an unknown way|are not names"):
            read(content)


def test_pairs_make_a_dict_as_python_2_wrote_it():
    program = b"ccollections\nOrderedDict\n((lp0\n(S'a'\nI1\ntatR."
    assert read(zipped(program)) == {"a": 1}


# === Archives ===


def test_archives_that_torch_does_not_write_are_refused():
    def archive(entries, **options):
        stream = io.BytesIO()
        with zipfile.ZipFile(stream, "w", **options) as file:
            for name, content in entries.items():
                file.writestr(name, content)
        return stream.getvalue()

    program, numbers = tensor_program(), SIX.tobytes()
    whole = {"a/data.pkl": program, "a/data/0": numbers}
    assert read(archive(whole))["x"].shape == (2, 3)
    for entries, message in (
        ({"a/data.pkl": program}, "no entry 'a/data/0'"),
        ({"a/b/data.pkl": program}, "one entry data.pkl"),
        ({**whole, "b/data.pkl": program}, "one entry data.pkl"),
        ({**whole, "a/byteorder": b"middle"}, "byte order is unknown"),
        ({**whole, "a/byteorder": b" " * 99}, "byte order is unknown"),
    ):
        with pytest.raises(WeightsError, match=message):
            read(archive(entries))
    for method in (zipfile.ZIP_DEFLATED, zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA):
        with pytest.raises(WeightsError, match="neither compressed nor encrypted"):
            read(archive(whole, compression=method))


def test_a_bomb_is_refused_before_it_is_unpacked():
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("a/data.pkl", b"N" * 10**8 + b".")
    assert len(stream.getvalue()) < 10**6
    with pytest.raises(WeightsError, match="neither compressed nor encrypted"):
        read(stream.getvalue())


def test_pickles_too_large_for_weights_are_refused(monkeypatch):
    monkeypatch.setattr(torch_file, "LARGEST_PICKLE", 400)
    big = tensor_program().replace(b"(dS'x'", b"(dS'" + b"y" * 400 + b"'\nNsS'x'")
    with pytest.raises(WeightsError, match="too large"):
        read(zipped(big, {"0": SIX.tobytes()}))
    with pytest.raises(WeightsError, match="damaged"):
        read(legacy(big.replace(b"tQ", b"NtQ"), {"0": (6, SIX.tobytes())}))


def test_legacy_files_with_other_headers_are_refused():
    content = both()[1]
    for before, after, message in (
        (pickle.dumps(1001, 2), pickle.dumps(1002, 2), "version is unknown"),
        (b"little_endian", b"little_endiam", "byte order is unknown"),
        (pickle.dumps(["0"], 2), pickle.dumps(["1"], 2), "list of storages is damaged"),
        (pickle.dumps(["0"], 2), pickle.dumps("0", 2), "list of storages is damaged"),
        (pickle.dumps(["0"], 2), pickle.dumps([0], 2), "list of storages is damaged"),
        (struct.pack("<q", 6), struct.pack("<q", -1), "not where it should be"),
    ):
        assert content.count(before) == 1
        with pytest.raises(WeightsError, match=message):
            read(content.replace(before, after))


def test_a_storage_described_twice_should_be_the_same():
    one = tensor_program().replace(b"tQ", b"NtQ")[:-2]
    two = one.replace(b"I6", b"I5").replace(b"(I2\nI3\nt(I3\nI1\nt", b"(I5\nt(I1\nt")
    program = one + b"s" + two.removeprefix(b"(d").replace(b"'x'", b"'y'") + b"s."
    with pytest.raises(WeightsError, match="described twice"):
        read(legacy(program, {"0": (6, SIX.tobytes())}))
