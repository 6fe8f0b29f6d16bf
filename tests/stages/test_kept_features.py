"""Frozen features are computed once, and only ever used for what they are of."""

import numpy as np
import pytest

from semivit_tf.stages.kept_features import Features, features_key
from tests.methods.small import small_vit
from tests.stages.runs import prepared


def means(images):
    """Features that are easy to know: the means of the halves of an image."""
    pixels = np.asarray(images, "float32")
    return np.stack([pixels[:, :4].mean((1, 2, 3)), pixels[:, 4:].mean((1, 2, 3))], 1)


class Halves:
    """Gives these features, and counts for how many images."""

    images = 0

    def __call__(self, images):
        self.images += len(images)
        return means(images)


@pytest.fixture(scope="module")
def network():
    return small_vit(width=8, depth=1, heads=2)


@pytest.fixture
def run(tmp_path):
    return prepared(tmp_path)


INDICES = np.array([5, 9, 1300])


@pytest.mark.parametrize("kept", [False, True])
def test_features_are_those_of_the_images_asked_for(run, network, tmp_path, kept):
    features = Features(run, network, Halves(), tmp_path / "kept" if kept else None)
    parts = run.data.parts
    expected = means(parts.train.images[INDICES])
    np.testing.assert_allclose(features.of_training(INDICES), expected, rtol=1e-5)
    expected = means(parts.test.images)
    np.testing.assert_allclose(features.of_test(), expected, rtol=1e-5)


def test_features_are_computed_once(run, network, tmp_path):
    encoder, folder = Halves(), tmp_path / "kept"
    first = Features(run, network, encoder, folder)
    one, two = first.of_training(INDICES), first.of_training(INDICES[:1])
    first.of_test()
    count = len(run.data.parts.train) + len(run.data.parts.test)
    assert encoder.images == count
    np.testing.assert_array_equal(two, one[:1])
    other = Features(run, network, None, folder)  # which computes nothing
    np.testing.assert_array_equal(other.of_training(INDICES), one)
    np.testing.assert_array_equal(other.of_test(), first.of_test())


def test_a_damaged_file_is_made_again(run, network, tmp_path):
    folder, said = tmp_path / "kept", []
    before = Features(run, network, Halves(), folder).of_training(INDICES)
    (file,) = folder.rglob("train-*.safetensors")
    whole = file.read_bytes()
    file.write_bytes(whole[:-1] + bytes([whole[-1] ^ 1]))
    object.__setattr__(run, "say", said.append)
    encoder = Halves()
    again = Features(run, network, encoder, folder).of_training(INDICES)
    np.testing.assert_array_equal(again, before)
    assert encoder.images == len(run.data.parts.train)
    assert file.read_bytes() == whole
    assert len(said) == 1 and "SHA-256" in said[0] and "computed again" in said[0]


def test_other_weights_images_or_sizes_have_other_features(run, network, tmp_path):
    keys = {features_key(run, network)}
    assert features_key(run, network) in keys
    network.weights[0].assign(network.weights[0] + 1e-3)
    keys.add(features_key(run, network))
    (tmp_path / "b").mkdir()
    keys.add(features_key(prepared(tmp_path / "b", image_size=12), network))
    keys.add(features_key(prepared(tmp_path / "b", central_share=0.5), network))
    keys.add(features_key(prepared(tmp_path / "b", width=12), network))
    assert len(keys) == 5
    # Other labels and another seed are no reason.
    assert (
        features_key(prepared(tmp_path / "b", labels_per_class=3, seed=4), network)
        in keys
    )
