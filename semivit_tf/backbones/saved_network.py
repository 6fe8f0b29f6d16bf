"""Networks in `.keras` files as backbones; a file that brings code is refused."""

import json
import re
import zipfile

import keras

from semivit_tf.backbones.adapted_network import AdaptedNetwork
from semivit_tf.layers.pixel_normalization import (
    IMAGENET_MEAN,
    IMAGENET_STD,
    PixelNormalization,
)

# What a file may be made of: Keras' layers, operations, and what configures them.
_MODULES = re.compile(
    r"keras(\.src)?\.(layers|models|ops|initializers|regularizers|constraints"
    r"|activations|dtype_policies)(\.\w+)*"
)
_OF_KERAS = ("DTypePolicy", "Functional", "Model", "Sequential")
_DATA = (
    *("__bytes__", "__ellipsis__", "__keras_tensor__", "__numpy__", "__slice__"),
    *("__tensor__", "__tuple__", "__typespec__"),
)
# Layers of Keras that run code of a file, or of another framework.
_CODE = ("Lambda", "FlaxLayer", "JaxLayer", "TFSMLayer", "TorchModuleWrapper")
_SCALING_LAYERS = (keras.layers.Rescaling, keras.layers.Normalization)
# Mean and deviation of a channel of pixels in [0, 1].
SCALINGS = {
    "own": None,
    "unit": lambda channels: ((0.0,) * channels, (1.0,) * channels),
    "signed": lambda channels: ((0.5,) * channels, (0.5,) * channels),
    "imagenet": lambda channels: (IMAGENET_MEAN, IMAGENET_STD),
}


def load_saved(path, image_size, *, channels=3, pooling="mean", pixel_scaling=None):
    """Loads a network of built-in Keras layers from a `.keras` file as a backbone.

    No code of the file is run. All layers learn, also those that were frozen.

    Args:
        path: File that `keras.Model.save` wrote: a functional or sequential model from
            images to features `[B, D]`, `[B, N, D]` or `[B, h, w, D]`.
        image_size: Integer or tuple `(H, W)`.
        channels: That of the network, or 1.
        pooling: `"mean"` over tokens or positions, or `"class_token"`: the first token.
        pixel_scaling: What the network expects in place of pixels in [0, 255]: those
            pixels (`"own"`: it scales them itself), [0, 1] (`"unit"`), [-1, 1]
            (`"signed"`), or ImageNet's mean and deviation taken out (`"imagenet"`).
            None: `"own"`, if it has a layer `Rescaling` or `Normalization`.

    Returns:
        An `AdaptedNetwork`.
    """
    network = read_network(path)
    scales = any(isinstance(layer, _SCALING_LAYERS) for layer in _layers(network))
    if pixel_scaling is None and not scales:
        raise ValueError(
            f"`pixel_scaling`, --pixel_scaling, should be one of {', '.join(SCALINGS)}:"
            f" {path} has no layer Rescaling or Normalization, which would say it"
        )
    scaling = make_scaling(pixel_scaling or "own", network.input.shape[-1])
    network.trainable = True
    return AdaptedNetwork(
        network, scaling, image_size, channels=channels, pooling=pooling
    )


def make_scaling(kind, channels):
    """Returns the layer that scales pixels in [0, 255] for a network."""
    if kind not in SCALINGS:
        raise ValueError(
            f"`pixel_scaling` should be one of {', '.join(SCALINGS)}. "
            f"Received: pixel_scaling={kind!r}"
        )
    if kind == "own":
        return keras.layers.Rescaling(1.0, dtype="float32", name="scaling")
    if kind == "imagenet" and channels != 3:
        raise ValueError(
            "`pixel_scaling` should not be imagenet for a network that takes "
            f"{channels} channels"
        )
    return PixelNormalization(*SCALINGS[kind](channels), name="scaling")


def read_network(path):
    """Returns the model in a file, which may only be made of Keras' own parts."""
    try:
        with zipfile.ZipFile(path) as archive:
            config = json.loads(archive.read("config.json"))
        config.pop("compile_config", None)  # it is not loaded
        if strange := next(foreign_parts(config), None):
            raise ValueError(
                "it should be made of Keras' own layers and functions, since no code "
                f"of a file is run. Received: {strange}"
            )
        network = keras.saving.load_model(path, compile=False, safe_mode=True)
        if not isinstance(network, keras.Model) or not network.inputs:
            raise ValueError("it should hold a functional or sequential model")
    except FileNotFoundError as error:
        raise ValueError(f"{path} does not exist") from error
    except (
        AttributeError,
        KeyError,
        NotImplementedError,
        OSError,
        RuntimeError,
        TypeError,
        ValueError,
        zipfile.BadZipFile,
    ) as error:
        # A damaged file can raise any error.
        reason = " ".join(str(error).split())[:300]
        raise ValueError(f"{path} cannot be used: {reason}") from error
    return network


def foreign_parts(config):
    """Yields what a model's config would have Keras import or run, in words."""
    if isinstance(config, list):
        for part in config:
            yield from foreign_parts(part)
    elif isinstance(config, dict):
        if "class_name" in config and not _is_known(config):
            name = config["class_name"]
            if name == "function":
                yield f"the function {config.get('config')}"
            else:
                yield f"{name} of the module {config.get('module')}"
        for part in config.values():
            yield from foreign_parts(part)


def _is_known(config):
    name, module = config["class_name"], config.get("module")
    if module is None:
        return name in _DATA
    if name == "function":
        return module == "builtins" and config.get("config") in _activations()
    if module == "keras":
        return name in _OF_KERAS
    return name not in _CODE and _MODULES.fullmatch(str(module)) is not None


def _activations():
    """Returns the names of Keras' activations."""
    others = {"deserialize", "get", "serialize"}
    return {n for n, x in vars(keras.activations).items() if callable(x)} - others


def _layers(network):
    for layer in network.layers:
        yield from _layers(layer) if isinstance(layer, keras.Model) else (layer,)
