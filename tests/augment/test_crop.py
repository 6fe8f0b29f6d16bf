"""Which boxes are drawn: areas, aspects, places, and what is done when none fits."""

import numpy as np
import pytest
from scipy import stats

from semivit_tf.augment.crop import CentralCrop, RandomResizedCrop
from semivit_tf.augment.randomness import image_key
from tests.augment.pictures import noise

SIGNIFICANT = 1e-3


def boxes(crop, height, width, count=4000):
    drawn = [crop.box(height, width, image_key(0, 1, 2, i)) for i in range(count)]
    return np.array(drawn).T


def test_areas_are_uniform_and_aspects_log_uniform():
    # Every box fits, and the image is large, so rounding does not show.
    crop = RandomResizedCrop((224, 224), area=(0.08, 0.5))
    top, left, height, width = boxes(crop, 4000, 4000)
    area = height * width / 4000**2
    assert stats.kstest(area, stats.uniform(0.08, 0.42).cdf).pvalue > SIGNIFICANT
    aspect = np.log(width / height)
    spread = stats.uniform(np.log(3 / 4), 2 * np.log(4 / 3))
    assert stats.kstest(aspect, spread.cdf).pvalue > SIGNIFICANT
    for start, length in ((top, height), (left, width)):
        place = (start + 0.5) / (4000 - length + 1)
        assert stats.kstest(place, "uniform").pvalue > SIGNIFICANT
    assert abs(stats.spearmanr(area, aspect).statistic) < 0.06


def test_boxes_follow_the_published_rule_on_a_photograph():
    """NumPy draws by the rule of the spec; both samples come from one distribution."""
    crop = RandomResizedCrop((224, 224))
    _, _, height, width = boxes(crop, 375, 500)
    generator = np.random.default_rng(0)
    expected = []
    while len(expected) < 4000:
        share = generator.uniform(0.08, 1.0) * 375 * 500
        aspect = np.exp(generator.uniform(np.log(3 / 4), np.log(4 / 3)))
        pair = round(np.sqrt(share / aspect)), round(np.sqrt(share * aspect))
        if pair[0] <= 375 and pair[1] <= 500:
            expected.append(pair)
    expected = np.array(expected).T
    assert stats.ks_2samp(height, expected[0]).pvalue > SIGNIFICANT
    assert stats.ks_2samp(width, expected[1]).pvalue > SIGNIFICANT


def test_boxes_lie_in_the_image_whatever_its_shape():
    crop = RandomResizedCrop((32, 32))
    for size in ((1, 1), (20, 20000), (3, 500), (375, 500)):
        top, left, height, width = boxes(crop, *size, count=200)
        assert (top >= 0).all() and (top + height <= size[0]).all()
        assert (left >= 0).all() and (left + width <= size[1]).all()
        assert height.min() >= 1 and width.min() >= 1


def test_when_nothing_fits_the_box_is_central_and_of_the_nearest_aspect():
    crop = RandomResizedCrop((32, 32), area=(0.9, 1.0))
    np.testing.assert_array_equal(crop.box(20, 20000, 7), (0, 9986, 20, 27))
    np.testing.assert_array_equal(crop.box(20000, 30, 7), (9980, 0, 40, 30))


def test_half_of_the_views_are_mirrored():
    crop = RandomResizedCrop((97, 128), area=(1.0, 1.0), aspect=(128 / 97, 128 / 97))
    image = noise()
    mirrored = 0
    for number in range(400):
        view = crop.cut(image, (0, 0, 97, 128), number)
        as_it_was = np.array_equal(view, image)
        assert as_it_was or np.array_equal(view, image[:, ::-1])
        mirrored += not as_it_was
    assert stats.binomtest(mirrored, 400).pvalue > SIGNIFICANT


@pytest.mark.parametrize("share", [0.0, 1.0])
def test_all_or_none_can_be_mirrored(share):
    crop = RandomResizedCrop((97, 128), mirrored=share)
    image = noise()
    expected = image[:, ::-1] if share else image
    for number in range(40):
        view = crop.cut(image, (0, 0, 97, 128), number)
        np.testing.assert_array_equal(view, expected)


def test_the_central_box_is_the_largest_of_its_aspect():
    assert CentralCrop((32, 32)).box(60, 100, 0) == (0, 20, 60, 60)
    assert CentralCrop((32, 64)).box(60, 100, 0) == (5, 0, 50, 100)
    assert CentralCrop((8, 8)).box(200, 1, 0) == (99, 0, 1, 1)
