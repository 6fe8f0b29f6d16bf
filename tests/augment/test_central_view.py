"""The view of an image when nothing is drawn, against Pillow."""

import numpy as np
from PIL import Image

from semivit_tf.augment.central_view import central_view


def test_same_size_is_the_identity():
    image = np.random.default_rng(0).integers(0, 256, (9, 9, 3)).astype("uint8")
    np.testing.assert_array_equal(central_view(image, (9, 9)), image)


def test_the_central_box_is_resized_as_pillow_does():
    generator = np.random.default_rng(1)
    image = generator.integers(0, 256, (60, 100, 3)).astype("uint8")
    ours = np.asarray(central_view(image, (24, 24)))
    box = Image.fromarray(image).crop((20, 0, 80, 60))
    pillow = np.asarray(box.resize((24, 24), Image.Resampling.BICUBIC), "float32")
    assert (
        np.abs(ours - pillow).max() < 1.5
    )  # Pillow rounds to whole grey levels, twice


def test_a_tall_thin_image_keeps_at_least_a_pixel():
    view = central_view(np.full((200, 1, 1), 7, "uint8"), (8, 8))
    np.testing.assert_allclose(view, 7)


def test_a_share_is_what_resizing_and_cutting_out_shows():
    """Resize the shorter side to 256, cut out 224: the published evaluation."""
    image = np.asarray(
        Image.fromarray(np.uint8(np.add.outer(np.arange(300), np.arange(450)) % 256))
        .convert("RGB")
        .resize((450, 300))
    )
    image = np.minimum(image, 200)
    ours = np.asarray(central_view(image, (224, 224), 0.875))
    resized = Image.fromarray(image).resize((384, 256), Image.Resampling.BICUBIC)
    published = np.asarray(resized.crop((80, 16, 304, 240)), "float32")
    assert ours.shape == (224, 224, 3)
    # The box is whole pixels of the image here and of the resized one there.
    assert np.abs(ours - published).mean() < 3
    assert np.abs(ours - np.roll(published, 4, axis=1)).mean() > 3
