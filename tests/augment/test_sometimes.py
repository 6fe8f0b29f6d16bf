"""The share of images that are changed, and draws that do not depend on it."""

from scipy import stats

from semivit_tf.augment.randomness import uniforms
from semivit_tf.augment.sometimes import Sometimes


def draw(image, key):
    return uniforms(key, 1)[0]


def test_the_share_is_kept():
    changed = sum(Sometimes(0.2, draw)(None, key) is not None for key in range(4000))
    assert stats.binomtest(changed, 4000, 0.2).pvalue > 1e-3


def test_never_and_always():
    assert {Sometimes(0.0, draw)(None, key) for key in range(200)} == {None}
    assert None not in {Sometimes(1.0, draw)(None, key) for key in range(200)}


def test_what_is_drawn_for_an_image_is_uniform_whatever_the_share():
    found = [Sometimes(0.3, draw)(None, key) for key in range(6000)]
    found = [number for number in found if number is not None]
    assert stats.kstest(found, "uniform").pvalue > 1e-3
