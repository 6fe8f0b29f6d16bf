"""Copies and new versions of a picture are found; what only looks alike is not."""

import io
import time

import numpy as np
import pytest
from PIL import Image
from sklearn.datasets import load_digits, load_sample_images

from semivit_tf.data.duplicates import (
    FINGERPRINT_SIZE,
    duplicate_groups,
    exact_duplicates,
    make_fingerprints,
    make_thumbnails,
    near_duplicates,
)

PLANTED = 20


def synthetic_photo(rng):
    """Makes smooth colour noise as photographs have, with a thing in front."""
    height, width = rng.integers(48, 97, 2)
    rows, columns = np.fft.fftfreq(height), np.fft.rfftfreq(width)
    frequency = np.hypot(rows[:, None], columns) + 0.01
    noise = rng.standard_normal((3, height, width))
    noise[1:] = 0.6 * noise[:1] + 0.4 * noise[1:]
    waves = np.fft.irfft2(np.fft.rfft2(noise) / frequency**1.2, s=(height, width))
    image = 128 + 45 * (waves / waves.std()).transpose(1, 2, 0)
    y, x = np.mgrid[:height, :width]
    center, radius = rng.uniform(0, (height, width)), rng.uniform(5, 25, 2)
    inside = ((y - center[0]) / radius[0]) ** 2 + ((x - center[1]) / radius[1]) ** 2 < 1
    image[inside] = image[inside] * 0.3 + rng.uniform(0, 255, 3) * 0.7
    return Image.fromarray(np.clip(image, 0, 255).astype("uint8"))


def another_version(image, rng):
    """Returns the picture in another size, format or quality."""
    scale = rng.choice([0.5, 0.7, 1.0])
    size = round(image.width * scale), round(image.height * scale)
    image = image.resize(size, rng.choice([1, 2, 3, 4]))
    if scale < 1 and rng.random() < 0.2:
        return image  # as a PNG
    file = io.BytesIO()
    image.save(file, "JPEG", quality=int(rng.integers(60, 96)))
    return Image.open(file)


def fingerprints_of(images):
    small = [make_thumbnails(np.asarray(image)[None]) for image in images]
    return make_fingerprints(np.concatenate(small))


def photographs():
    """Returns 2,000 made-up photographs and 154 pieces of two real ones."""
    rng = np.random.default_rng(0)
    images = [synthetic_photo(rng) for _ in range(2000)]
    for photo in load_sample_images().images:
        for top in range(0, 427 - 54, 54):
            for left in range(0, 640 - 54, 58):
                images.append(Image.fromarray(photo[top : top + 54, left : left + 58]))
    return images


def pairs_of(groups):
    return {
        (int(one), int(other))
        for group in groups
        for k, one in enumerate(group)
        for other in group[k + 1 :]
    }


def test_planted_duplicates_are_found_and_nothing_else():
    images = photographs()
    rng = np.random.default_rng(1)
    originals = rng.choice(len(images), 2 * PLANTED, replace=False)
    copies = [images[k] for k in originals[:PLANTED]]
    versions = [another_version(images[k], rng) for k in originals[PLANTED:]]
    expected = {(int(k), len(images) + i) for i, k in enumerate(originals)}
    images = [*images, *copies, *versions]

    keys = {}
    numbers = [keys.setdefault(np.asarray(i).tobytes(), len(keys)) for i in images]
    digests = np.array(numbers, "<u4")[:, None].view("uint8")
    exact = exact_duplicates(digests)
    pairs, distances = near_duplicates(fingerprints_of(images), exact)

    found = pairs_of(exact)
    assert len(found) == PLANTED and found < expected
    near = {tuple(pair) for pair in pairs.tolist()}
    assert near >= expected - found
    assert len(near) <= PLANTED + 1
    assert 0 < distances.min() and distances.max() <= 0.15


def test_different_digits_are_not_duplicates():
    digits = np.round(load_digits().images * 255 / 16).astype("uint8")[..., None]
    digests = digits.reshape(len(digits), -1)
    assert exact_duplicates(digests) == []
    assert len(near_duplicates(fingerprints_of(digits))[0]) == 0


def test_a_fingerprint_holds_the_mean_and_the_waves_of_its_grey_levels():
    grey = np.zeros((1, 32, 32, 1), "uint8")
    grey[:, :, 16:] = 200
    found = fingerprints_of(grey)
    assert found.shape == (1, FINGERPRINT_SIZE) and found.dtype == np.float16
    assert found[0, 0] == 100
    # A step across: no wave goes down, and waves keep the energy but the fastest.
    np.testing.assert_allclose(found[0, 8:64], 0, atol=1e-3)
    assert 95 < np.linalg.norm(found[0, 1:8].astype(float)) < 100
    np.testing.assert_array_equal(found[0, 64:], 0)
    red = np.zeros((1, 9, 7, 3), "uint8")
    red[..., 0] = 100
    found = fingerprints_of(red)[0].astype(float)
    np.testing.assert_allclose(found[0], 29.9, atol=0.02)
    np.testing.assert_allclose(found[64::2], (100 - 29.9) / 2, atol=0.02)
    np.testing.assert_allclose(found[65::2], -29.9 / 2, atol=0.02)


def test_a_picture_in_another_colour_is_another_picture():
    rng = np.random.default_rng(0)
    image = np.asarray(synthetic_photo(rng))
    tinted = image.astype(int) + [20, -8, 0]
    tinted = np.clip(tinted, 0, 255).astype("uint8")
    others = [synthetic_photo(rng) for _ in range(20)]
    for second, expected in ((image, 1), (tinted, 0)):
        pairs, _ = near_duplicates(fingerprints_of([image, second, *others]))
        assert len(pairs) == expected


def test_plain_images_are_exact_duplicates_only():
    levels = np.arange(5000) % 250
    plain = np.zeros((5000, FINGERPRINT_SIZE), "float16")
    plain[:, 0] = levels
    assert len(near_duplicates(plain)[0]) == 0
    digests = levels.astype("<u2")[:, None].view("uint8")
    assert [len(group) for group in exact_duplicates(digests)] == [20] * 250


def test_exact_groups_are_sorted_and_leave_out_what_cannot_be_used():
    digests = np.array([[3], [1], [2], [1], [3], [3], [9]], "uint8")
    groups = exact_duplicates(digests)
    assert [group.tolist() for group in groups] == [[0, 4, 5], [1, 3]]
    groups = exact_duplicates(digests, [False, True, True, False, True, True, True])
    assert [group.tolist() for group in groups] == [[4, 5]]
    assert exact_duplicates(digests[:0]) == []


def natural_fingerprints(count, rng):
    """Returns waves that fall with frequency, as those of photographs do."""
    frequency = np.maximum(1, np.hypot(*np.mgrid[:8, :8])).ravel()
    waves = rng.standard_normal((count, 64)) * 60 / frequency**1.3
    tints = rng.standard_normal((count, 32)) * 8
    return np.concatenate([waves, tints], axis=1).astype("float16")


def test_the_first_of_an_exact_group_stands_for_it():
    rng = np.random.default_rng(0)
    fingerprints = natural_fingerprints(60, rng)
    fingerprints[[7, 8]] = fingerprints[2]
    fingerprints[40] = fingerprints[2] * np.float16(1.01)
    exact = [np.array([2, 7, 8])]
    pairs, distances = near_duplicates(fingerprints, exact)
    np.testing.assert_array_equal(pairs, [[2, 40]])
    waves = fingerprints[:, :64].astype(float)
    contrast = np.linalg.norm(waves[[2, 40], 1:], axis=1)
    expected = np.linalg.norm(waves[2] - waves[40]) / np.sqrt(contrast.prod())
    np.testing.assert_allclose(distances, expected, rtol=1e-3)
    (group,) = duplicate_groups(pairs, exact)
    assert group.tolist() == [2, 7, 8, 40]
    usable = np.ones(60, bool)
    usable[40] = False
    assert len(near_duplicates(fingerprints, exact, usable)[0]) == 0


def test_groups_join_what_is_linked():
    pairs = np.array([[4, 9], [1, 5], [9, 12]])
    assert [g.tolist() for g in duplicate_groups(pairs)] == [[1, 5], [4, 9, 12]]
    assert duplicate_groups(np.zeros((0, 2), int)) == []


@pytest.mark.parametrize("noise", [0.0, 0.3])
def test_crowds_become_one_group_without_all_their_pairs(noise):
    rng = np.random.default_rng(0)
    fingerprints = natural_fingerprints(10_000, rng)
    scene = fingerprints[0].astype(float)
    fingerprints[:5000] = scene + noise * rng.standard_normal((5000, 96))
    started = time.process_time()
    pairs, _ = near_duplicates(fingerprints)
    assert time.process_time() - started < 20  # under a second on an idle machine
    assert len(pairs) < 5000 * 33
    (group,) = duplicate_groups(pairs)
    np.testing.assert_array_equal(group, np.arange(5000))


def test_one_or_no_image_has_no_duplicates():
    fingerprints = natural_fingerprints(1, np.random.default_rng(0))
    for count in (0, 1):
        pairs, distances = near_duplicates(fingerprints[:count])
        assert pairs.shape == (0, 2) and distances.shape == (0,)


def test_wrong_arguments_are_refused():
    with pytest.raises(ValueError, match="uint8 array \\[N, B\\]. Received: float64"):
        exact_duplicates(np.zeros((2, 16)))
    with pytest.raises(ValueError, match="array \\[N, 96\\]. Received: float64"):
        near_duplicates(np.zeros((2, 16)))
    with pytest.raises(ValueError, match="one entry per image, 2. Received: 3"):
        near_duplicates(np.zeros((2, 96), "float16"), usable=[True] * 3)
