"""Arrays that are kept: made once, made again when wrong, and never needed."""

import numpy as np
import pytest

from semivit_tf.data.array_cache import cached_array


class Maker:
    """Counts how often the array is made."""

    def __init__(self, array):
        self.array, self.made = array, 0

    def __call__(self):
        self.made += 1
        return self.array


@pytest.fixture
def cache(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    return tmp_path / "cache" / "semivit_tf"


def test_an_array_is_made_once(cache):
    maker = Maker(np.arange(6).reshape(2, 3))
    for _ in range(3):
        array = cached_array("set/train", maker, lambda array: True)
        np.testing.assert_array_equal(array, [[0, 1, 2], [3, 4, 5]])
    assert maker.made == 1
    assert [path.name for path in (cache / "set").iterdir()] == ["train.npy"]


@pytest.mark.parametrize("end", [0, 5, 100, -1])
def test_a_torn_file_is_made_again(cache, end):
    maker = Maker(np.arange(6))
    cached_array("a", maker, lambda array: True)
    whole = (cache / "a.npy").read_bytes()
    (cache / "a.npy").write_bytes(whole[:end])
    np.testing.assert_array_equal(cached_array("a", maker, len), np.arange(6))
    assert maker.made == 2 and (cache / "a.npy").read_bytes() == whole


def test_what_is_not_right_or_pickled_is_made_again(cache):
    cached_array("a", lambda: np.arange(5), lambda array: True)
    maker = Maker(np.arange(6))
    array = cached_array("a", maker, lambda array: len(array) == 6)
    assert maker.made == 1 and len(array) == 6
    np.save(cache / "a.npy", np.array([{"a": 1}], dtype=object))
    assert len(cached_array("a", maker, lambda array: True)) == 6
    assert maker.made == 2


def test_a_cache_that_cannot_be_written_does_not_matter(tmp_path, monkeypatch):
    (tmp_path / "file").write_text("not a folder")
    maker = Maker(np.arange(6))
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "file"))
    assert len(cached_array("a", maker, len)) == 6
    monkeypatch.setenv("XDG_CACHE_HOME", "relative")
    monkeypatch.setenv("HOME", str(tmp_path / "file"))
    assert len(cached_array("a", maker, len)) == 6
    assert maker.made == 2


def test_the_home_folder_is_used_when_nothing_is_said(tmp_path, monkeypatch):
    monkeypatch.delenv("XDG_CACHE_HOME", raising=False)
    monkeypatch.setenv("HOME", str(tmp_path))
    cached_array("a", lambda: np.arange(6), len)
    assert np.load(tmp_path / ".cache/semivit_tf/a.npy").tolist() == list(range(6))
