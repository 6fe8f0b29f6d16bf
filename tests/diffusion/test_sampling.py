"""Samples of a denoiser that knows the answer, and what they may depend on."""

import numpy as np
import pytest

from semivit_tf import Denoiser
from semivit_tf.diffusion import LinearSchedule, sample
from semivit_tf.diffusion.sampling import as_pixels, normal_numbers
from tests.diffusion.known_gaussian import KnownGaussian
from tests.diffusion.small import small_u_vit

LABELS = np.arange(7) % 2


class Known:
    """A denoiser of two classes: pixels are normal around -0.5 and around 0.5."""

    num_classes = 2
    image_shape = (4, 4, 1)
    knows_no_class = True
    schedule = LinearSchedule()

    def __init__(self, deviation=0.05):
        self.shapes = []
        self.known = [
            KnownGaussian(self.schedule, mean, deviation) for mean in (-0.5, 0.5, 0.0)
        ]

    def predict_on_batch(self, inputs):
        images, times, labels = map(np.asarray, inputs)
        self.shapes.append(images.shape)
        assert images.dtype == times.dtype == "float32"
        rows = zip(images, times, labels, strict=True)
        return np.stack([self.known[y].predict_noise(x, float(t)) for x, t, y in rows])


def test_each_label_gets_an_image_of_its_class():
    images = sample(Known(), LABELS, steps=20, guidance=0.0)
    assert images.shape == (7, 4, 4, 1) and images.dtype == "uint8"
    # In [-1, 1] the means are -0.5 and 0.5 and the deviation is 0.05.
    for label, mean in ((0, 63.75), (1, 191.25)):
        pixels = images[label == LABELS].astype(float)
        np.testing.assert_allclose(pixels.mean(), mean, atol=3)
        np.testing.assert_allclose(pixels.std(), 0.05 * 127.5, rtol=0.25)


def test_all_batches_have_one_shape_and_guidance_doubles_it():
    for guidance, rows in ((0.0, 3), (0.4, 6)):
        denoiser = Known()
        sample(denoiser, LABELS, steps=2, guidance=guidance, batch_size=3)
        assert denoiser.shapes == [(rows, 4, 4, 1)] * 6


@pytest.mark.parametrize("solver", ["dpm_solver_pp_2m", "euler_maruyama"])
def test_an_image_depends_on_its_seed_and_place_alone(solver):
    options = {"steps": 5, "solver": solver}
    denoiser = Known(deviation=0.3)
    images = sample(denoiser, LABELS, **options)
    for others in (
        sample(denoiser, LABELS, **options),
        sample(denoiser, LABELS, batch_size=2, **options),
        np.concatenate(
            [
                sample(denoiser, LABELS[:3], **options),
                sample(denoiser, LABELS[3:], first=3, **options),
            ]
        ),
    ):
        np.testing.assert_array_equal(others, images)
    other_seed = sample(denoiser, LABELS, seed=1, **options)
    # Some pixels are as bright or as dark as can be in both.
    assert (other_seed != images).mean() > 0.5
    assert (images[0] != images[2]).mean() > 0.5  # of one class


def test_random_numbers_are_normal_and_go_on():
    draw = normal_numbers(3, range(5), (40, 40))
    first, second = draw(), draw()
    assert first.dtype == "float32" and not np.array_equal(first, second)
    np.testing.assert_allclose(first.mean(axis=(1, 2)), 0, atol=0.1)
    np.testing.assert_allclose(first.std(axis=(1, 2)), 1, atol=0.08)
    again = normal_numbers(3, [4, 1], (40, 40))()
    np.testing.assert_array_equal(again, first[[4, 1]])


def test_pixels_by_hand():
    images = np.array([-1.5, -1.0, 0.0, 0.5, 1.0, 3.0])
    np.testing.assert_array_equal(as_pixels(images), [0, 0, 128, 191, 255, 255])
    with pytest.raises(ValueError, match="finite"):
        as_pixels(np.array([0.0, np.nan]))


@pytest.mark.parametrize(
    "labels, guidance, message",
    [
        ([0, 2], 0.4, "class numbers of 0 to 1"),
        ([-1], 0.4, "class numbers of 0 to 1"),
        ([], 0.4, "at least one"),
    ],
)
def test_labels_that_are_no_classes_are_refused(labels, guidance, message):
    with pytest.raises(ValueError, match=message):
        sample(Known(), labels, guidance=guidance)


def test_guidance_needs_label_dropout():
    denoiser = Known()
    denoiser.knows_no_class = False
    with pytest.raises(ValueError, match="without label dropout"):
        sample(denoiser, LABELS)
    assert len(sample(denoiser, LABELS, steps=1, guidance=0.0)) == 7


def test_a_trained_model_answers_with_its_teacher():
    model = Denoiser(small_u_vit(), 3)
    before = sample(model, [0, 1, 2], steps=2)
    model.student.set_weights([w * 0 for w in model.student.get_weights()])
    np.testing.assert_array_equal(sample(model, [0, 1, 2], steps=2), before)
    model.teacher.set_weights([w * 0 for w in model.teacher.get_weights()])
    after = sample(model, [0, 1, 2], steps=2)
    # Without noise to subtract, all of it is taken for the image.
    alpha = model.schedule.alpha(np.array([1e-3, 1.0]))
    start = normal_numbers(0, range(3), (8, 8, 1))()
    expected = as_pixels(start * (alpha[0] / alpha[1]))
    np.testing.assert_allclose(after.astype(int), expected.astype(int), atol=1)
    assert (before != after).any()


def test_a_model_without_classes_gets_a_number_of_images():
    model = Denoiser(small_u_vit(num_classes=None), None)
    images = sample(model, 3, steps=2)
    assert images.shape == (3, 8, 8, 1)
    with pytest.raises(ValueError, match="should be a number of images"):
        sample(model, [0, 1])


def test_replicas_sample_what_one_device_samples(mirrored):
    model = Denoiser(small_u_vit(), 3)
    weights = model.teacher.get_weights()
    expected = sample(model, [0, 1], steps=2)
    with mirrored.scope():
        replicated = Denoiser(small_u_vit(), 3)
        replicated.teacher.set_weights(weights)
    found = sample(replicated, [0, 1], steps=2)
    np.testing.assert_allclose(found.astype(int), expected.astype(int), atol=1)
