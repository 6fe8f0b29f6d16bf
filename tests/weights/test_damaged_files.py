"""Whatever a file holds: it is loaded, or refused in one line and nothing changed."""

import io
import os
import pickle
import zipfile

import numpy as np
import pytest

from semivit_tf.weights import WeightsError, load_published
from tests.weights.files import FIXTURES, Called, legacy, zipped
from tests.weights.small import classifier, snapshot, unchanged

MUTATIONS = 170
# Instructions and marks that other formats give a meaning.
TELLING = b"\x80\x02.()[]{}tRbcsuaehqrQK\x8a\x8bMJXXIN0123456789<>\"',:|\x00\xff\n"


def mutate(content, end, generator):
    """Changes bytes before `end`: other values, a piece twice, a piece or all gone."""
    content = bytearray(content)
    for _ in range(generator.integers(1, 4)):
        place = int(generator.integers(0, max(1, min(end, len(content)))))
        piece = int(generator.integers(1, 24))
        kind = generator.integers(0, 5)
        if kind == 0:
            content[place : place + 1] = bytes([generator.integers(0, 256)])
        elif kind == 1:
            content[place : place + 1] = bytes([generator.choice(list(TELLING))])
        elif kind == 2:
            content[place:place] = content[place : place + piece]
        elif kind == 3:
            del content[place : place + piece]
        elif generator.random() < 0.2:
            del content[place:]
        else:
            content[place : place + 1] = bytes([content[place] ^ 1 << piece % 8])
    return bytes(content)


def entries(path):
    with zipfile.ZipFile(path) as archive:
        return {name: archive.read(name) for name in archive.namelist()}


def mutated_zip(file, ending, end):
    """Changes an entry before it is packed, so that no checksum tells."""
    parts = entries(FIXTURES / file)
    names = [name for name in parts if name.endswith(ending)]

    def build(generator):
        chosen = names[generator.integers(len(names))]
        stream = io.BytesIO()
        with zipfile.ZipFile(stream, "w") as archive:
            for name, content in parts.items():
                if name == chosen:
                    content = mutate(content, end, generator)
                archive.writestr(name, content)
        return stream.getvalue()

    return build


def mutated(file, end, start=0):
    """Changes bytes of a file, `end` of them, from a place that may be negative."""
    content = (FIXTURES / file).read_bytes()
    start = start % len(content)

    def build(generator):
        return content[:start] + mutate(content[start:], end, generator)

    return build


KINDS = {
    "pickles": ("vit_token.pth", lambda f: mutated_zip(f, "data.pkl", 10_000)),
    "arrays of npz": ("vit_token.npz", lambda f: mutated_zip(f, ".npy", 90)),
    "legacy files": ("vit_mean.legacy.pth", lambda f: mutated(f, 6_000)),
    "safetensors": ("vit_mean.safetensors", lambda f: mutated(f, 2_500)),
    "archives": ("vit_token.pth", lambda f: mutated(f, 3_500, start=-3_500)),
    "archives of npz": ("vit_token.npz", lambda f: mutated(f, 3_000, start=-3_000)),
}


@pytest.mark.parametrize("kind", KINDS)
def test_mutations_are_loaded_or_refused(tmp_path, kind):
    file, mutations = KINDS[kind]
    build = mutations(file)
    model = classifier("mean" if "mean" in file else "class_token")
    generator, path = np.random.default_rng(0), tmp_path / "file"
    before, refused = snapshot(model), 0
    for _ in range(MUTATIONS):
        path.write_bytes(build(generator))
        try:
            load_published(model, path)
        except WeightsError as error:
            refused += 1
            assert str(error).startswith(str(path)) and "\n" not in str(error)
            assert len(str(error)) < 1000
            unchanged(model, before)
        else:
            before = snapshot(model)
    assert MUTATIONS // 4 < refused


@pytest.mark.parametrize(
    "file",
    ["vit_token.pth", "vit_token.npz", "vit_mean.safetensors", "vit_mean.legacy.pth"],
)
def test_truncated_files_are_refused(tmp_path, file):
    content, path = (FIXTURES / file).read_bytes(), tmp_path / "file"
    model = classifier("mean" if "mean" in file else "class_token")
    before = snapshot(model)
    for length in (*range(0, 100, 7), *range(100, len(content), 997), len(content) - 1):
        path.write_bytes(content[:length])
        with pytest.raises(WeightsError):
            load_published(model, path)
    unchanged(model, before)


@pytest.mark.parametrize("pack", [zipped, legacy])
def test_a_file_that_runs_code_is_refused_and_runs_nothing(tmp_path, pack):
    canary, model = tmp_path / "canary", classifier()
    before = snapshot(model)
    for key in ("model", "args", "cls_token"):
        program = pickle.dumps({key: Called(os.system, f"touch {canary}")}, 2)
        (tmp_path / "file").write_bytes(pack(program))
        with pytest.raises(WeightsError, match="asks for 'posix.system'.*nothing"):
            load_published(model, tmp_path / "file")
    assert not canary.exists()
    unchanged(model, before)


def test_damaged_numbers_are_told_by_their_checksum(tmp_path):
    content = bytearray((FIXTURES / "vit_token.pth").read_bytes())
    content[len(content) // 2] ^= 1
    (tmp_path / "file").write_bytes(content)
    with pytest.raises(WeightsError, match="Bad CRC-32"):
        load_published(classifier(), tmp_path / "file")
