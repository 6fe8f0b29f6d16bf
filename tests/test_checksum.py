"""Damage to a file of weights is noticed, wherever it is."""

import json

import numpy as np
import pytest
from safetensors.numpy import load_file, save_file

from semivit_tf import checksum
from semivit_tf.training.weight_files import CheckpointError, read_arrays, write_arrays
from semivit_tf.weights import WeightsError, load_published
from semivit_tf.weights.timm_file import save_timm
from tests.methods.small import small_vit

ARRAYS = {
    "kernel": np.arange(6, dtype="float32").reshape(2, 3),
    "émphase": np.array(7, "int64"),
    "none": np.zeros((0, 4), "float16"),
}
METADATA = {f"entry{number}": "{\"a\": 'é'}" for number in range(6)}


def content(path):
    arrays, metadata = read_arrays(path)
    metadata = {name: metadata[name] for name in METADATA if name in metadata}
    return {name: (a.dtype, a.tolist()) for name, a in arrays.items()}, metadata


def test_other_programs_read_the_file_and_equal_content_gives_equal_bytes(tmp_path):
    for number in range(8):  # the order of metadata is drawn for each file
        write_arrays(tmp_path / str(number), ARRAYS, METADATA)
    found = {path.read_bytes() for path in tmp_path.iterdir()}
    assert len(found) == 1
    arrays = load_file(tmp_path / "0")
    assert arrays.keys() == ARRAYS.keys()
    for name, array in ARRAYS.items():
        np.testing.assert_array_equal(arrays[name], array)
    assert content(tmp_path / "0")[1] == METADATA


def test_a_change_of_any_byte_is_refused_or_changes_nothing(tmp_path):
    write_arrays(tmp_path / "whole", ARRAYS, METADATA)
    whole, expected = (tmp_path / "whole").read_bytes(), content(tmp_path / "whole")
    draws, refused = np.random.default_rng(0), 0
    for place in range(len(whole)):
        damaged = bytearray(whole)
        damaged[place] ^= 1 << draws.integers(8)
        (tmp_path / "damaged").write_bytes(damaged)
        try:
            assert content(tmp_path / "damaged") == expected, place
        except CheckpointError:
            refused += 1
    # What can pass is a name of the checksum that nothing looks for.
    assert refused >= len(whole) - len(checksum.ENTRY) - 4
    for size in range(0, len(whole), 7):
        (tmp_path / "damaged").write_bytes(whole[:size])
        with pytest.raises(CheckpointError, match="cannot be read"):
            read_arrays(tmp_path / "damaged")


def test_files_without_a_checksum_are_read(tmp_path):
    save_file(ARRAYS, tmp_path / "file", METADATA)
    assert content(tmp_path / "file")[1] == METADATA
    save_file(ARRAYS, tmp_path / "file")
    assert content(tmp_path / "file")[1] == {}


def test_weights_for_timm_have_one_and_a_damaged_file_starts_no_run(tmp_path):
    save_timm(small_vit(), tmp_path / "file")
    load_published(small_vit(), tmp_path / "file")
    damaged = bytearray((tmp_path / "file").read_bytes())
    damaged[-6] ^= 1
    (tmp_path / "file").write_bytes(damaged)
    with pytest.raises(WeightsError, match=r"file cannot be read: its bytes have"):
        load_published(small_vit(), tmp_path / "file")


def test_the_digest_is_the_sha_256_of_the_file(tmp_path):
    (tmp_path / "file").write_bytes(b"abc")
    expected = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"
    assert checksum.digest_of(tmp_path / "file") == expected


def test_a_header_that_promises_more_than_the_file_is_no_checksum(tmp_path):
    header = json.dumps({"__metadata__": {checksum.ENTRY: "0"}}).encode()
    (tmp_path / "file").write_bytes((2**62).to_bytes(8, "little") + header)
    with pytest.raises(CheckpointError, match="cannot be read"):
        read_arrays(tmp_path / "file")
