"""Export of weights to a file with the names of timm."""

import json

import numpy as np
from safetensors.numpy import save_file

from semivit_tf import checksum
from semivit_tf.weights.checkpoint_file import GRID
from semivit_tf.weights.layouts import to_published
from semivit_tf.weights.network import find_targets
from semivit_tf.weights.weights_error import WeightsError
from semivit_tf.whole_file import whole_path


def save_timm(model, path):
    """Writes a backbone, and its linear head, to a `.safetensors` file for timm.

    The file appears whole or not at all. Networks of timm take normalised pixels;
    models of ours take pixels in [0, 255] and normalise them.

    Args:
        model: A backbone, or a method with one, such as `Classifier`.
        path: File.
    """
    targets = find_targets(model)
    if list(targets) != [""]:
        raise WeightsError(
            "`model` should be one network, such as the teacher of a method. "
            f"Received: {type(model).__name__}"
        )
    network = targets[""]
    folded = network.naming.folded_sides()
    arrays = {}
    for name, place in network.naming.published()[0].items():
        if place.part is None and place.name in network.weights:
            array = network.weights[place.name].numpy()
            array = to_published(array, place.layout, folded.get(place.layout, {}))
            arrays[name] = array.astype("float32")
    arrays = network.naming.as_timm(arrays)
    arrays = {name: np.array(array, order="C") for name, array in arrays.items()}
    metadata = {"format": "pt", checksum.ENTRY: checksum.ABSENT}
    grid = network.naming.grid()
    if grid is not None:
        metadata[GRID] = json.dumps(grid)
    with whole_path(path) as aside:
        save_file(arrays, aside, metadata=metadata)
        checksum.seal(aside)
