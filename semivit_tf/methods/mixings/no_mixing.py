"""Strong views as they are."""

import dataclasses

import keras

from semivit_tf.methods.mixings.mixing import Mixing


@keras.saving.register_keras_serializable(package="semivit_tf")
@dataclasses.dataclass(frozen=True)
class NoMixing(Mixing):
    """Shows each strong view by itself."""

    def __call__(self, images, targets, confidence, weight, seed=None):
        return images, targets, weight
