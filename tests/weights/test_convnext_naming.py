"""Published ConvNeXts in ours: the answers are PyTorch's."""

import numpy as np
import pytest
from safetensors.numpy import load_file

from semivit_tf.backbones.convnext import ConvNeXt
from semivit_tf.methods.classifier import Classifier
from semivit_tf.training.weight_files import save_weights
from semivit_tf.weights import WeightsError, load_published, save_timm
from tests.weights.files import FIXTURES, expected
from tests.weights.small import snapshot, unchanged, vit


def convnext(image_size=32, depths=(1, 1, 2, 1)):
    return ConvNeXt(image_size, depths, (4, 8, 8, 12))


@pytest.mark.parametrize("file", ["convnext.safetensors", "convnext_original.pth"])
@pytest.mark.parametrize("size", [32, 64])
def test_logits_equal_timm(file, size):
    numbers, model = expected(), Classifier(convnext(size), 3)
    coverage = load_published(model, FIXTURES / file)
    np.testing.assert_allclose(
        model(numbers[f"images_{size}"]),
        numbers[f"convnext_logits_{size}"],
        rtol=1e-4,
        atol=1e-4,
    )
    assert len(coverage.loaded) == len(model.weights) == 65
    assert not coverage.resized and not coverage.dropped


def test_both_names_give_the_same_bits():
    first, second = convnext(), convnext()
    load_published(first, FIXTURES / "convnext.safetensors")
    coverage = load_published(second, FIXTURES / "convnext_original.pth")
    unchanged(second, snapshot(first))
    assert set(coverage.dropped) == {"head.weight", "head.bias"}


def test_timm_gets_its_own_back(tmp_path):
    model = Classifier(convnext(), 3)
    load_published(model, FIXTURES / "convnext.safetensors")
    save_timm(model, tmp_path / "file")
    found = load_file(tmp_path / "file")
    wanted = load_file(FIXTURES / "convnext.safetensors")
    assert found.keys() == wanted.keys()
    for name, array in wanted.items():
        np.testing.assert_array_equal(found[name], array, err_msg=name)


def test_our_own_files_are_read_back(tmp_path):
    source, target = Classifier(convnext(), 3), Classifier(convnext(), 3)
    source.set_weights([w + 1 for w in source.get_weights()])
    save_weights(source, tmp_path / "file")
    load_published(target, tmp_path / "file")
    unchanged(target, snapshot(source))
    with pytest.raises(WeightsError, match="9 weights are unexpected: .*_block1/"):
        load_published(convnext(depths=(1, 1, 1, 1)), tmp_path / "file")


@pytest.mark.parametrize("file", ["convnext.safetensors", "convnext_original.pth"])
def test_other_depths_and_networks_are_refused(file):
    with pytest.raises(
        WeightsError, match="9 weights of the model are missing: stage1"
    ):
        load_published(convnext(depths=(1, 2, 2, 1)), FIXTURES / file)
    with pytest.raises(WeightsError, match="9 weights are unexpected: stages.2"):
        load_published(convnext(depths=(1, 1, 1, 1)), FIXTURES / file)
    with pytest.raises(WeightsError, match="are missing|belongs to a ViT"):
        load_published(vit(), FIXTURES / file)
    with pytest.raises(WeightsError, match="are missing|belongs to a ConvNeXt"):
        load_published(convnext(), FIXTURES / "vit_token.pth")
