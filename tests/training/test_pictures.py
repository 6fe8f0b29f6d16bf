"""Pictures of what a network sees."""

import io

import numpy as np
import tensorflow as tf
from PIL import Image

from semivit_tf.methods.mae import MAE
from semivit_tf.training.metrics_log import MetricsLog
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


def test_pictures_and_metrics_of_all_epochs_lie_in_one_event_file(tmp_path):
    images = np.zeros((3, 8, 8, 1), "uint8")
    model = autoencoder()
    for start in (0, 3):
        with MetricsLog(tmp_path, start) as log:
            watch = Pictures(tmp_path, images, model.pictures, range(1, 7))
            callbacks = [watch, log]
            model.fit(
                images,
                initial_epoch=start,
                epochs=start + 3,
                batch_size=3,
                verbose=0,
                callbacks=callbacks,
            )
    files = sorted((tmp_path / "tensorboard").iterdir())
    assert len(files) == 2  # one for each start
    found = [
        (event.step, value.tag)
        for file in files
        for event in tf.compat.v1.train.summary_iterator(str(file))
        for value in event.summary.value
    ]
    for tag in ("pictures", "loss"):
        assert [step for step, name in found if name == tag] == [1, 2, 3, 4, 5, 6]
