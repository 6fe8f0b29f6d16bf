"""The teacher is a copy of any backbone, registered with Keras or not."""

import keras
import numpy as np
import pytest
from keras import ops

from semivit_tf.methods.averaged_classifier import AveragedClassifier
from semivit_tf.methods.classifier import Classifier
from semivit_tf.methods.moving_teacher import twin

SHAPE = (8, 8, 1)
IMAGES = np.random.default_rng(0).integers(0, 256, (6, *SHAPE)).astype("uint8")


class Scale(keras.layers.Layer):
    """A layer of a user, not registered."""

    def __init__(self, factor=1.0, **kwargs):
        super().__init__(**kwargs)
        self.factor = factor

    def call(self, inputs):
        return self.factor * inputs

    def get_config(self):
        return {**super().get_config(), "factor": self.factor}


class Own(keras.Model):
    """A backbone of a user, not registered, whose `get_config` is complete."""

    def __init__(self, width=4, activation="tanh", scale=None, **kwargs):
        super().__init__(**kwargs)
        self.width = width
        self.activation = activation
        self.scale = scale or Scale(1 / 255)
        self.dense = keras.layers.Dense(width, activation=activation)

    def call(self, images):
        images = ops.cast(images, "float32")
        return self.dense(self.scale(ops.reshape(images, (-1, 64))))

    def get_config(self):
        return {
            **super().get_config(),
            "width": self.width,
            "activation": keras.saving.serialize_keras_object(self.activation),
            "scale": keras.saving.serialize_keras_object(self.scale),
        }

    @classmethod
    def from_config(cls, config):
        restored = {
            name: keras.saving.deserialize_keras_object(config[name])
            for name in ("activation", "scale")
        }
        return cls(**{**config, **restored})


def functional():
    inputs = keras.Input(SHAPE)
    features = keras.layers.Flatten()(Scale(1 / 255)(inputs))
    return keras.Model(inputs, keras.layers.Dense(4)(features))


@pytest.mark.parametrize("backbone", [lambda: Own(4, scale=Scale(0.01)), functional])
def test_classes_of_the_network_need_not_be_registered(backbone):
    model = AveragedClassifier(backbone(), 3, image_shape=SHAPE, mixup_alpha=0.0)
    expected = model.student(IMAGES).numpy()
    assert np.abs(expected).max() > 0
    np.testing.assert_array_equal(model.teacher(IMAGES), expected)
    model.compile(keras.optimizers.SGD(0.1))
    model.fit(IMAGES, np.arange(6) % 3, verbose=0)
    assert np.abs(model.student(IMAGES).numpy() - expected).max() > 0
    assert keras.saving.get_registered_object("Scale") is None


def test_what_cannot_be_found_is_named_with_the_remedy():
    def wave(x):
        return ops.sin(x)

    with pytest.raises(ValueError, match=r"Decorate wave with `@keras.saving.reg.*Own"):
        twin(Classifier(Own(4, wave), 3, image_shape=SHAPE), "teacher")


def test_two_classes_of_one_name_are_not_confused():
    other = type("Scale", (Scale,), {"__module__": "elsewhere"})
    flat = [keras.Input(SHAPE), keras.layers.Flatten()]
    twin(Classifier(keras.Sequential([*flat, other(2.0)]), 3), "teacher")
    network = Classifier(keras.Sequential([*flat, other(2.0), Scale(3.0)]), 3)
    with pytest.raises(ValueError, match="one name.*elsewhere.Scale"):
        twin(network, "teacher")


class Forgetful(Own):
    """A backbone whose `get_config` leaves out what its constructor needs."""

    def __init__(self, depth, **kwargs):
        super().__init__(**kwargs)


class Silent(Own):
    """A backbone whose `get_config` leaves out a size."""

    def get_config(self):
        return keras.Model.get_config(self)

    @classmethod
    def from_config(cls, config):
        return cls()


def test_backbones_that_cannot_be_rebuilt_are_refused():
    with pytest.raises(ValueError, match=r"rebuildable from `get_config\(\)`.*Forg"):
        AveragedClassifier(Forgetful(1), 3, image_shape=SHAPE)
    with pytest.raises(ValueError, match="same weights when rebuilt.*Silent"):
        AveragedClassifier(Silent(5), 3, image_shape=SHAPE)
