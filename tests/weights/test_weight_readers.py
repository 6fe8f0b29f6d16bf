"""Files of weights by generated input: what is in them, one line, and no more memory.

`test_damaged_files.py` changes the bytes of whole networks; here sizes are lies.
"""

import io
import json
import struct
import zipfile

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays
from safetensors.numpy import save

from semivit_tf.weights import WeightsError
from semivit_tf.weights.checkpoint_file import open_checkpoint
from semivit_tf.weights.weights_error import blaming
from tests.generated import bounded, few_bytes
from tests.weights.files import FIXTURES, legacy

SIDES = st.lists(st.integers(0, 2**62), min_size=1, max_size=4)


def weights_in(path):
    with blaming(path), open_checkpoint(path) as file:
        return {
            name: np.array(array.read())
            for network in file.networks.values()
            for name, array in network.items()
        }


def read_or_refuse(path, content):
    """Returns the weights of a file of these bytes, or None if it is refused."""
    path.write_bytes(content)
    try:
        with few_bytes():
            return weights_in(path)
    except WeightsError as error:
        assert str(error).startswith(str(path)) and "\n" not in str(error)
        return None


@bounded
@given(
    st.dictionaries(
        st.text("abc.0_", min_size=1, max_size=5),
        arrays.arrays(
            st.sampled_from(["float16", "float32", "float64"]),
            arrays.array_shapes(min_dims=0, max_dims=4, max_side=4),
            elements=st.integers(-100, 100),
        ),
        min_size=1,
        max_size=4,
    )
)
def test_weights_come_back_from_both_kinds_of_files(tmp_path, weights):
    packed = io.BytesIO()
    np.savez(packed, **{f"w{name}": array for name, array in weights.items()})
    named = {f"w{name}": array for name, array in weights.items()}
    for content in (packed.getvalue(), save(named)):
        found = read_or_refuse(tmp_path / "file", content)
        assert sorted(found) == sorted(named)
        for name, array in named.items():
            np.testing.assert_array_equal(found[name], array)


def safetensors(header, body=b"\0" * 64, length=None):
    text = json.dumps(header).encode()
    return struct.pack("<Q", len(text) if length is None else length) + text + body


@bounded
@given(
    shape=SIDES,
    kind=st.sampled_from(["F16", "F32", "F64", "BF16"]),
    ends=st.tuples(st.integers(0, 2**63), st.integers(0, 2**63)),
    length=st.none() | st.integers(0, 2**64 - 1),
)
def test_safetensors_headers_do_not_decide_on_memory(
    tmp_path, shape, kind, ends, length
):
    for offsets in (ends, (0, 64)):
        header = {"w": {"dtype": kind, "shape": shape, "data_offsets": list(offsets)}}
        found = read_or_refuse(tmp_path / "file", safetensors(header, length=length))
        assert found is None or found["w"].shape == tuple(shape)


@bounded
@given(
    shape=SIDES,
    kind=st.sampled_from(["<f4", "<f8", "<f2"]),
    declared=st.integers(0, 2**32 - 2),
    packed=st.booleans(),
)
def test_npz_headers_do_not_decide_on_memory(tmp_path, shape, kind, declared, packed):
    stream = io.BytesIO()
    text = f"{{'descr': '{kind}', 'fortran_order': False, 'shape': {tuple(shape)}, }}\n"
    array = b"\x93NUMPY\1\0" + struct.pack("<H", len(text)) + text.encode()
    with zipfile.ZipFile(stream, "w", zipfile.ZIP_DEFLATED * packed) as archive:
        archive.writestr("w.npy", array + bytes(64))
    true, lie = stream.getvalue(), bytearray(stream.getvalue())
    place = lie.rindex(b"PK\1\2") + 24  # where the archive says how much there is
    lie[place : place + 4] = declared.to_bytes(4, "little")
    for content in (true, bytes(lie)):
        found = read_or_refuse(tmp_path / "file", content)
        assert found is None or found["w"].shape == tuple(shape)


@bounded
@given(count=st.integers(-(2**63), 2**63 - 1))
def test_legacy_counts_do_not_decide_on_memory(tmp_path, count):
    content = (FIXTURES / "vit_mean.legacy.pth").read_bytes()
    size = struct.pack("<q", 16)
    place = content.find(size, len(content) // 4)
    assert place > 0
    lie = content[:place] + struct.pack("<q", count) + content[place + 8 :]
    found = read_or_refuse(tmp_path / "file", lie)
    assert (found is None) == (count != 16)


@bounded
@given(
    start=st.sampled_from([b"", b"PK\3\4", b"\x80\x02", legacy(b".")[:40], b"\0" * 8]),
    rest=st.binary(max_size=300),
)
def test_other_bytes_are_refused(tmp_path, start, rest):
    assert read_or_refuse(tmp_path / "file", start + b"{" + rest) is None


def test_a_lie_that_fits_is_the_shape_that_is_read(tmp_path):
    header = {"w": {"dtype": "F32", "shape": [2, 8], "data_offsets": [0, 64]}}
    assert read_or_refuse(tmp_path / "file", safetensors(header))["w"].shape == (2, 8)
    with pytest.raises(WeightsError):
        header["w"]["shape"] = [2, 9]
        (tmp_path / "file").write_bytes(safetensors(header))
        weights_in(tmp_path / "file")
