"""Files for timm: its names, and the same bits when they come back."""

import numpy as np
import pytest
from safetensors.numpy import load_file

from semivit_tf.methods.semi_vit import SemiViT
from semivit_tf.weights import WeightsError, load_published, save_timm
from tests.weights.files import FIXTURES, arrays_of
from tests.weights.small import classifier, mae, snapshot, unchanged, vit


def shaken(model):
    """Gives all weights of a model values of their own."""
    generator = np.random.default_rng(0)
    model.set_weights([generator.normal(size=w.shape) for w in model.weights])
    return model


@pytest.mark.parametrize(
    "build",
    [
        lambda: vit("class_token"),
        lambda: vit("mean"),
        lambda: classifier("class_token"),
        lambda: classifier("mean"),
        lambda: vit("mean", image_size=(8, 24)),
        # As many patches as 4x4, which nobody can tell from the table.
        lambda: vit("mean", image_size=(8, 32)),
        lambda: vit("mean", channels=1),
        mae,
    ],
)
def test_weights_come_back_bit_for_bit(tmp_path, build):
    source, target = shaken(build()), build()
    save_timm(source, tmp_path / "file")
    coverage = load_published(target, tmp_path / "file")
    assert len(coverage.loaded) == len(target.weights) and not coverage.resized
    unchanged(target, snapshot(source))


@pytest.mark.parametrize(
    "file, pooling",
    [("vit_token.pth", "class_token"), ("vit_mean.safetensors", "mean")],
)
def test_names_and_arrays_are_those_of_timm(tmp_path, file, pooling):
    model = classifier(pooling)
    load_published(model, FIXTURES / file)
    save_timm(model, tmp_path / "file")
    found, wanted = load_file(tmp_path / "file"), arrays_of(file)
    assert found.keys() == wanted.keys() and len(found) == 32
    for name, array in wanted.items():
        assert found[name].dtype == array.dtype == "float32"
        np.testing.assert_array_equal(found[name], array, err_msg=name)


def test_a_failed_save_leaves_the_earlier_file(tmp_path, monkeypatch):
    path = tmp_path / "file"
    path.write_bytes(b"earlier")

    def fail(arrays, aside, metadata):
        aside.write_bytes(b"half")
        raise OSError("No space left on device")

    monkeypatch.setattr("semivit_tf.weights.timm_file.save_file", fail)
    with pytest.raises(OSError, match="No space"):
        save_timm(vit(), path)
    assert [p.name for p in tmp_path.iterdir()] == ["file"]
    assert path.read_bytes() == b"earlier"


def test_a_method_with_two_networks_is_refused(tmp_path):
    model = SemiViT(vit("mean"), 3)
    with pytest.raises(WeightsError, match="one network, such as the teacher"):
        save_timm(model, tmp_path / "file")
    save_timm(model.teacher, tmp_path / "file")
    assert len(load_file(tmp_path / "file")) == 32
