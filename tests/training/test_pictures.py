"""Pictures of what a network sees."""

import io

import numpy as np
from PIL import Image

from semivit_tf.methods.mae import MAE
from semivit_tf.training.pictures import Pictures
from tests.methods.small import small_vit


def autoencoder(**options):
    model = MAE(
        small_vit(), decoder_width=8, decoder_depth=1, decoder_heads=2, **options
    )
    model.compile("sgd")
    return model


def test_a_file_appears_after_the_epochs_chosen(tmp_path):
    images = np.random.default_rng(0).integers(0, 256, (3, 8, 8, 1)).astype("uint8")
    model = autoencoder()
    watch = Pictures(tmp_path, images, model.pictures, [2])
    model.fit(images, epochs=3, batch_size=3, verbose=0, callbacks=[watch])
    assert [p.name for p in (tmp_path / "pictures").iterdir()] == ["epoch-00002.png"]
    content = (tmp_path / "pictures" / "epoch-00002.png").read_bytes()
    picture = np.asarray(Image.open(io.BytesIO(content)))
    # Three images below each other, three pictures of each, twelve times as large.
    assert picture.shape == (3 * (4 + 96), 3 * (4 + 96))
    assert (picture[100:104] == 255).all() and (picture[:, 200:204] == 255).all()
    for number, image in enumerate(images[..., 0].astype(int)):
        shown = picture[100 * number + 4 : 100 * number + 100 : 12, 4:100:12]
        assert np.abs(shown - image).max() <= 1
    (events,) = (tmp_path / "tensorboard").iterdir()
    assert b"pictures" in events.read_bytes()
