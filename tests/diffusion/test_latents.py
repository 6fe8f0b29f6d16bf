"""Latents of an encoder and a decoder whose numbers are plain."""

import keras
import numpy as np
import pytest

from semivit_tf import Denoiser
from semivit_tf.data.cached_moments import CachedMoments, cache_moments, shows_mirrors
from semivit_tf.diffusion import Latents, sample
from semivit_tf.diffusion.latents import draw_latents
from semivit_tf.methods.load_latents import load_latents
from tests.diffusion.small import small_u_vit


def linear(shape, channels, kernel, bias=0.0):
    """A 1x1 convolution with given numbers."""
    inputs = keras.Input(shape)
    layer = keras.layers.Conv2D(channels, 1)
    model = keras.Model(inputs, layer(inputs))
    layer.kernel.assign(np.reshape(kernel, layer.kernel.shape))
    layer.bias.assign(np.broadcast_to(bias, (channels,)))
    return model


@pytest.fixture
def latents():
    """Of a grey image: its halves as two channels; each has a deviation of e^-1."""
    encoder = linear((8, 8, 1), 4, [0.5, -0.5, 0.0, 0.0], [0.0, 0.0, -2.0, -2.0])
    return Latents(encoder, linear((8, 8, 2), 1, [1.0, -1.0]), scale=0.2)


IMAGES = np.random.default_rng(0).integers(0, 256, (5, 8, 8, 1), "uint8")


def test_moments_are_those_of_images_in_minus_one_to_one(latents):
    moments = latents.moments(IMAGES)
    scaled = IMAGES / 127.5 - 1
    expected = np.concatenate(
        [scaled / 2, -scaled / 2, 0 * scaled - 2, 0 * scaled - 2], -1
    )
    np.testing.assert_allclose(moments, expected, atol=1e-6)
    assert latents.shape_of((8, 8, 1)) == (8, 8, 2)


def test_latents_are_drawn_anew_and_scaled():
    mean, log_variance = np.full((1, 200, 200, 1), 3.0), np.full((1, 200, 200, 1), -2.0)
    moments = np.concatenate([mean, log_variance], -1).astype("float32")
    one, same, other = (np.asarray(draw_latents(moments, 0.2, s)) for s in (1, 1, 2))
    np.testing.assert_array_equal(one, same)
    assert np.abs(one - other).max() > 0.1
    # Four standard errors of 40,000 draws.
    np.testing.assert_allclose(one.mean(), 0.2 * 3.0, atol=4 * 0.2 * np.exp(-1) / 200)
    np.testing.assert_allclose(one.std(), 0.2 * np.exp(-1), rtol=0.02)


def test_what_is_decoded_is_the_image_again(latents):
    mean = latents.moments(IMAGES)[..., :2]
    np.testing.assert_array_equal(latents.decode(0.2 * mean), IMAGES)


def test_an_encoder_without_variances_has_none():
    encoder = linear((8, 8, 1), 2, [0.5, -0.5])
    plain = Latents(encoder, linear((8, 8, 2), 1, [1.0, -1.0]))
    drawn = draw_latents(plain.moments(IMAGES), plain.scale, 0)
    np.testing.assert_array_equal(plain.decode(np.asarray(drawn)), IMAGES)


def test_a_denoiser_learns_moments_and_samples_are_decoded(latents):
    network = small_u_vit(channels=2)
    denoiser = Denoiser(network, 3, latent_scale=latents.scale, seed=0)
    denoiser.compile("adamw")
    labels = np.array([0, 1, 2, 0, 1])
    before = network.get_weights()
    denoiser.fit(latents.moments(IMAGES), labels, batch_size=5, verbose=0)
    assert any(
        (a != b).any() for a, b in zip(before, network.get_weights(), strict=True)
    )
    images = sample(denoiser, labels, steps=1, decode=latents.decode)
    assert images.shape == (5, 8, 8, 1) and images.dtype == "uint8"
    with pytest.raises(ValueError, match="`decode` should be given where"):
        sample(denoiser, labels, steps=1)
    same = Denoiser.from_config(denoiser.get_config())
    assert same.latent_scale == 0.2


def test_a_pair_that_does_not_fit_is_refused():
    encoder, decoder = linear((8, 8, 1), 3, [1, 1, 1]), linear((8, 8, 2), 1, [1, 1])
    with pytest.raises(ValueError, match="should give 2 channels.* or 4.*Received: 3"):
        Latents(encoder, decoder)
    encoder = linear((8, 8, 3), 2, [1] * 6)
    with pytest.raises(ValueError, match="images of 3 channels.*Received: 1"):
        Latents(encoder, decoder)


def test_files_are_read_and_none_with_code(latents, tmp_path):
    for name in ("encoder", "decoder"):
        getattr(latents, name).save(tmp_path / f"{name}.keras")
    paths = tmp_path / "encoder.keras", tmp_path / "decoder.keras"
    again = load_latents(*paths, scale=0.2)
    np.testing.assert_array_equal(again.moments(IMAGES), latents.moments(IMAGES))
    inputs = keras.Input((8, 8, 1))
    doubled = keras.layers.Lambda(lambda x: 2 * x)(inputs)
    keras.Model(inputs, doubled).save(paths[0])
    with pytest.raises(ValueError, match="cannot be used: it should be made of Keras"):
        load_latents(*paths)


# === The cache ===


@pytest.fixture
def cache(tmp_path, monkeypatch):
    """Moments in files of two images: an image itself, and where it was mirrored."""
    monkeypatch.setattr("semivit_tf.data.cached_moments._SHARD", 2)
    calls = []

    def batches(start, stop):
        calls.append((start, stop))
        yield IMAGES[start:stop], None

    def make():
        calls.clear()
        return cache_moments(tmp_path, batches, np.arange(5) % 3, lambda x: x), calls

    return make


def test_images_and_mirrors_are_cached_in_files_and_the_missing_ones_made(
    cache, tmp_path
):
    moments, calls = cache()
    assert calls == [(0, 2), (2, 4), (4, 5)] and moments.shape == (8, 8, 1)
    places = np.array([4, 0, 3])
    np.testing.assert_array_equal(moments.read(places, [0, 0, 0]), IMAGES[places])
    mirrors = IMAGES[places, :, ::-1]
    np.testing.assert_array_equal(moments.read(places, [1, 1, 1]), mirrors)
    (tmp_path / "moments-00001.npy").unlink()
    with pytest.raises(ValueError, match="moments of 5 images. Received: 3"):
        CachedMoments(tmp_path, moments.labels)
    _, calls = cache()
    assert calls == [(2, 4)]


def test_a_stream_shows_each_image_once_a_pass_and_both_sides_in_time(cache):
    moments, _ = cache()
    stream = moments.batches(5, seed=3)
    sides = np.zeros((5, 2), int)
    for number, (images, labels) in zip(range(30), stream, strict=False):
        images = np.asarray(images)
        if number == 7:
            later = next(iter(moments.batches(5, seed=3, start_step=7)))
            np.testing.assert_array_equal(np.asarray(later[0]), images)
        for image, label in zip(images, labels, strict=True):
            equal = (
                (IMAGES == image).all((1, 2, 3)),
                ((IMAGES[:, :, ::-1] == image).all((1, 2, 3))),
            )
            place = int(np.argmax(equal[0] | equal[1]))
            assert label == place % 3
            sides[place, int(equal[1][place])] += 1
    assert (sides.sum(axis=1) == 30).all()
    # Four deviations of 30 throws of a coin.
    assert np.abs(sides[:, 0] - 15).max() < 4 * 30**0.5 / 2


@pytest.mark.parametrize(
    ("augmentation", "size", "expected"),
    [
        ("auto", (28, 28), False),
        ("auto", (224, 224), True),
        ("photo", (28, 28), True),
        ("small", (224, 224), False),
        ("none", (224, 224), False),
    ],
)
def test_photographs_are_mirrored(augmentation, size, expected):
    assert shows_mirrors(augmentation, size) is expected


def test_images_that_are_not_mirrored_stay_as_they_are(cache):
    moments, _ = cache()
    seen, _ = next(iter(moments.batches(5, mirrors=False)))
    found = sorted(map(bytes, seen.numpy()))
    assert found == sorted(map(bytes, IMAGES.astype("float32")))
