"""Training in a folder: validated at the end, stopped when the loss is no number."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from semivit_tf.methods.classifier import Classifier
from semivit_tf.training.loop import train, validated_epochs
from semivit_tf.training.non_finite import NonFiniteLossError
from tests.methods.small import semi_batch, small_vit


@pytest.mark.parametrize(("epochs", "count"), [(136, 20), (7, 3), (5, 20), (1, 1)])
def test_the_last_epoch_is_validated(epochs, count):
    chosen = validated_epochs(epochs, count)
    assert chosen[-1] == epochs and chosen[0] >= 1
    assert len(chosen) >= min(epochs, count)
    assert len(set(np.diff(chosen))) <= 1


def test_a_loss_that_is_no_number_stops_and_keeps_the_checkpoint(tmp_path):
    model = Classifier(small_vit(), 3)
    model.compile(keras.optimizers.SGD(0.1))
    views, labels = semi_batch()
    good = tf.data.Dataset.from_tensors((views["image"], labels))
    bad = tf.data.Dataset.from_tensors((views["image"] * np.nan, labels))
    with pytest.raises(
        NonFiniteLossError, match="finetune: loss became nan in epoch 2"
    ):
        train(
            model,
            lambda step: good.concatenate(bad).repeat().skip(step),
            stage="finetune",
            folder=tmp_path,
            epochs=3,
            steps_per_epoch=1,
            checkpoint_seconds=0,
        )
    names = [path.name for path in (tmp_path / "checkpoints").iterdir()]
    assert names == ["step-0000000001.safetensors"]
    assert (tmp_path / "metrics.jsonl").read_text().count("\n") == 1
