"""Crops by family: how much they show, what is done to them, how often."""

import numpy as np
import pytest
from scipy import stats

from semivit_tf.augment import multi_crop
from semivit_tf.augment.multi_crop import CROPS, crop_policies
from semivit_tf.augment.randomness import image_key
from semivit_tf.augment.resize import resize
from tests.augment.pictures import noise, photograph


def crops(family="photo", local_crops=8, **options):
    return crop_policies(family, (224, 224), (96, 96), local_crops, **options)


def names(policy):
    return [type(operation).__name__ for operation in policy.operations]


@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize("family", sorted(CROPS))
def test_crops_have_their_sizes_and_depend_on_the_key_alone(family, channels):
    image = np.ascontiguousarray(noise()[..., :channels])
    policies = crop_policies(family, (16, 24), (8, 12), 3)
    assert list(policies) == ["global1", "global2", "local1", "local2", "local3"]
    for name, policy in policies.items():
        first, again, other = (policy(image, image_key(0, 5, 0, i)) for i in (1, 1, 2))
        assert first.shape == ((16, 24) if "global" in name else (8, 12)) + (channels,)
        assert first.dtype == "uint8"
        np.testing.assert_array_equal(first, again)
        assert family == "none" or not np.array_equal(first, other)


def areas(policy, count=2000):
    boxes = [policy.box(4000, 4000, image_key(0, 5, 0, i)) for i in range(count)]
    return np.array([height * width for _, _, height, width in boxes]) / 4000**2


@pytest.mark.parametrize(
    ("options", "global_area", "local_area"),
    [
        ({}, (0.4, 1.0), (0.05, 0.4)),
        ({"split": 0.25}, (0.25, 1.0), (0.05, 0.25)),
        ({"local_crops": 0}, (0.14, 1.0), None),
        ({"local_crops": 0, "split": 0.3}, (0.3, 1.0), None),
        ({"family": "small"}, (0.7, 1.0), (0.35, 0.7)),
        ({"family": "small", "local_crops": 0}, (0.7, 1.0), None),
        ({"strength": 0.0}, (1.0, 1.0), (1.0, 1.0)),
        ({"family": "none"}, (1.0, 1.0), (1.0, 1.0)),
    ],
)
def test_areas_of_the_families(options, global_area, local_area):
    policies = crops(**options)
    for name in ("global1", "global2", *(["local1", "local8"] if local_area else [])):
        low, high = global_area if "global" in name else local_area
        found = areas(policies[name])
        assert found.min() >= low - 1e-3 and found.max() <= high + 1e-3
        if high == low == 1.0:
            np.testing.assert_array_equal(found, 1.0)
        else:  # all of the range is used
            assert found.min() < low + 0.02
    assert ("local1" in policies) == (local_area is not None)


def test_small_areas_of_a_local_crop_are_uniform():
    spread = stats.uniform(0.05, 0.35)
    assert stats.kstest(areas(crops()["local3"], 4000), spread.cdf).pvalue > 1e-3


def test_published_operations_of_photographs():
    policies = crops()
    assert names(policies["global1"]) == ["Sometimes", "Sometimes", "RandomBlur"]
    assert names(policies["global2"]) == ["Sometimes"] * 4
    assert names(policies["local1"]) == ["Sometimes"] * 3
    shares = {
        name: [
            getattr(operation, "probability", 1.0) for operation in policy.operations
        ]
        for name, policy in policies.items()
    }
    assert shares["global1"] == [0.8, 0.2, 1.0]
    assert shares["global2"] == [0.8, 0.2, 0.1, 0.2]
    assert shares["local1"] == [0.8, 0.2, 0.5]
    jitter = policies["global1"].operations[0].operation
    assert (jitter.strength, jitter.saturation, jitter.hue) == (0.4, 0.2, 0.1)
    assert policies["global1"].operations[2].radius == (0.1, 2.0)


def test_grey_and_solarize_are_those_of_pillow():
    """As `tone` gives them, which equals Pillow; the threshold is 128."""
    image = photograph()
    grey = multi_crop._grey(image, 0)
    assert (grey[..., 0] == grey[..., 2]).all() and grey.std() > 10
    levels = np.array([[[0], [127], [128], [255]]], "uint8")
    solarized = multi_crop._solarize(levels, 0)
    np.testing.assert_array_equal(solarized[0, :, 0], [0, 127, 127, 0])


def test_a_fifth_of_the_crops_is_grey_and_half_is_mirrored():
    image = photograph()
    policy = crops(strength=0.0)["global2"]
    policy.framing.aspect = (128 / 97, 128 / 97)  # the whole image, always
    plain = resize(image, (0, 0, 97, 128), (224, 224))[..., 1].ravel()
    grey = mirrored = 0
    for number in range(300):
        view = policy(image, image_key(0, 5, 0, number))
        grey += (view[..., 0] == view[..., 1]).all()
        upright, other = (
            abs(np.corrcoef(one[..., 1].ravel(), plain)[0, 1])
            for one in (view, view[:, ::-1])
        )
        mirrored += other > upright
    assert stats.binomtest(int(grey), 300, 0.2).pvalue > 1e-3
    assert stats.binomtest(int(mirrored), 300, 0.5).pvalue > 1e-3


def test_small_images_are_never_mirrored_and_keep_their_tones():
    policies = crops("small")
    assert names(policies["local1"]) == names(policies["global1"]) == ["RandomAffine"]
    framing = crops("small")["local1"].framing
    expected = resize(noise(), (0, 0, 97, 128), (96, 96))
    for number in range(40):
        view = framing.cut(noise(), (0, 0, 97, 128), number)
        np.testing.assert_array_equal(view, expected)
