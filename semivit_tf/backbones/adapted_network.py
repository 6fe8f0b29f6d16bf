"""A network of another library as a backbone."""

import copy

import keras
from keras import ops


@keras.saving.register_keras_serializable(package="semivit_tf")
class AdaptedNetwork(keras.Model):
    """A network between its own scaling of pixels and a pooling of its features.

    Args:
        network: Functional `keras.Model` from scaled images to features `[B, D]`,
            `[B, N, D]` or `[B, h, w, D]`.
        scaling: Layer from pixels in [0, 255] to the network's input.
        image_size: Integer or tuple `(H, W)`.
        channels: Integer C: that of the network, or 1 for grey images, which are then
            repeated.
        pooling: `"mean"` over tokens or positions, or `"class_token"`: the first token.
    """

    def __init__(
        self, network, scaling, image_size, *, channels=3, pooling="mean", **kwargs
    ):
        kwargs.setdefault("name", "adapted_network")
        kwargs.setdefault("autocast", False)  # pixels reach the scaling unrounded
        super().__init__(**kwargs)
        size = (image_size,) * 2 if isinstance(image_size, int) else tuple(image_size)
        self._check(network, size, channels, pooling)
        self.network = network
        self.scaling = scaling
        self.image_size = size
        self.channels = channels
        self.pooling = pooling
        self.built = True

    @staticmethod
    def _check(network, size, channels, pooling):
        inputs = keras.tree.flatten(network.input)
        outputs = keras.tree.flatten(network.output)
        if len(inputs) > 1 or len(inputs[0].shape) != 4:
            raise ValueError(
                "`network` should take images [B, H, W, C] alone. "
                f"Received: {network.name} with inputs {network.input}"
            )
        if len(outputs) > 1 or len(outputs[0].shape) not in (2, 3, 4):
            raise ValueError(
                "`network` should return features [B, D], [B, N, D] or [B, h, w, D]. "
                f"Received: {network.name} with outputs {network.output}"
            )
        height, width, own_channels = inputs[0].shape[1:]
        if (height or size[0], width or size[1]) != size:
            raise ValueError(
                f"`image_size` should be ({height}, {width}), which {network.name} is "
                f"made for. Received: image_size={size}"
            )
        if channels not in (1, own_channels):
            raise ValueError(
                f"`channels` should be 1 or {own_channels}. Received: {channels}"
            )
        poolings = ("mean", "class_token") if len(outputs[0].shape) == 3 else ("mean",)
        if pooling not in poolings:
            raise ValueError(
                f"`pooling` should be one of {poolings} for {network.name}. "
                f"Received: pooling={pooling!r}"
            )

    @property
    def image_shape(self):
        """The shape `(H, W, C)` of the images that the model is made for."""
        return (*self.image_size, self.channels)

    def call(self, images, training=False):
        pixels = ops.cast(images, "float32")
        repeated = self.network.input.shape[-1] // self.channels
        scaled = self.scaling(ops.repeat(pixels, repeated, axis=-1))
        features = self.network(scaled, training=training)
        if self.pooling == "class_token":
            return features[:, 0]
        places = tuple(range(1, len(features.shape) - 1))
        return ops.mean(features, axis=places) if places else features

    def compute_output_shape(self, input_shape):
        return (input_shape[0], self.network.output.shape[-1])

    def weight_names(self):
        """Returns a dict from the `id` of a weight to its name in files, a number.

        Keras numbers unnamed layers, so their paths differ between instances.
        """
        return {
            id(weight): f"{self.name}/{number:05d}"
            for number, weight in enumerate(self.weights)
        }

    def get_config(self):
        return {
            **super().get_config(),
            "network": keras.saving.serialize_keras_object(self.network),
            "scaling": keras.saving.serialize_keras_object(self.scaling),
            "image_size": self.image_size,
            "channels": self.channels,
            "pooling": self.pooling,
        }

    @classmethod
    def from_config(cls, config):
        config = copy.deepcopy(config)  # Keras empties the config of a network
        for part in ("network", "scaling"):
            config[part] = keras.saving.deserialize_keras_object(config[part])
        return cls(**config)
