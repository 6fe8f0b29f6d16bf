"""Stochastic depth: residual branches are dropped at random in training."""

import keras
from keras import ops


@keras.saving.register_keras_serializable(package="semivit_tf")
class DropPath(keras.layers.Layer):
    """Drops a whole residual branch for randomly chosen samples.

    Values that are kept are divided by the probability of keeping them, so that
    the expected output equals the input. At inference the input passes unchanged.

    Args:
        rate: Float in [0, 1). Probability of dropping a sample's branch.
        seed: Optional integer.

    Reference:
        Huang et al., Deep Networks with Stochastic Depth, 2016.
    """

    def __init__(self, rate, *, seed=None, **kwargs):
        super().__init__(**kwargs)
        if not 0 <= rate < 1:
            raise ValueError(f"`rate` should be in [0, 1). Received: rate={rate}")
        self.rate = rate
        self.seed = seed
        if rate > 0:
            self.seed_generator = keras.random.SeedGenerator(seed)

    def call(self, inputs, training=False):
        if not training or self.rate == 0:
            return inputs
        keep = 1.0 - self.rate
        shape = (ops.shape(inputs)[0],) + (1,) * (len(inputs.shape) - 1)
        drawn = keras.random.uniform(shape, dtype="float32", seed=self.seed_generator)
        kept = ops.cast(drawn < keep, inputs.dtype)
        return inputs / keep * kept

    def compute_output_shape(self, input_shape):
        return input_shape

    def get_config(self):
        return {**super().get_config(), "rate": self.rate, "seed": self.seed}
