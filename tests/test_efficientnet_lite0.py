"""EfficientNet-Lite0 gets the weights of a file under the names that it has there."""

import importlib
import pathlib
import sys

import numpy as np
import pytest

from semivit_tf.backbones import create_backbone

ROOT = pathlib.Path(__file__).parents[1]
WIDTHS = (32, 16, 24, 24, 40, 40, 80, 80, 80, 112, 112, 112, *(4 * [192]), 320)
KERNELS = (3, 3, 3, 5, 5, 3, 3, 3, 5, 5, 5, *(4 * [5]), 3)


@pytest.fixture(scope="module")
def script():
    sys.path.insert(0, str(ROOT / "experiments"))
    try:
        return importlib.import_module("efficientnet_lite0")
    finally:
        sys.path.remove(str(ROOT / "experiments"))


def published():
    """Returns weights by the names of PyTorch, small enough that none is cut off."""
    generator = np.random.default_rng(0)
    shapes = {"_conv_stem": (32, 3, 3, 3), "_conv_head": (1280, 320, 1, 1)}
    norms = {"_bn0": 32, "_bn1": 1280}
    for number, (before, after) in enumerate(zip(WIDTHS, WIDTHS[1:], strict=False)):
        name, inside = f"_blocks.{number}.", before * (6 if number else 1)
        if number:
            shapes[f"{name}_expand_conv"] = (inside, before, 1, 1)
            norms[f"{name}_bn0"] = inside
        side = KERNELS[number]
        shapes[f"{name}_depthwise_conv"] = (inside, 1, side, side)
        shapes[f"{name}_project_conv"] = (after, inside, 1, 1)
        norms |= {f"{name}_bn1": inside, f"{name}_bn2": after}
    arrays = {
        f"{name}.weight": generator.normal(
            scale=np.prod(shape[1:]) ** -0.5, size=shape
        ).astype("float32")
        for name, shape in shapes.items()
    }
    for name, count in norms.items():
        for part in ("weight", "bias", "running_mean", "running_var"):
            values = generator.uniform(0.5, 1.5, count).astype("float32")
            arrays[f"{name}.{part}"] = values
        arrays[f"{name}.num_batches_tracked"] = np.int64(7)
    arrays |= {"_fc.weight": np.zeros((1000, 1280)), "_fc.bias": np.zeros(1000)}
    return arrays


@pytest.fixture(scope="module")
def written(script, tmp_path_factory):
    folder, arrays = tmp_path_factory.mktemp("efficientnet"), published()
    np.savez(folder / "weights.npz", **arrays)
    script.write(folder / "weights.npz", folder / "network.keras")
    return folder / "network.keras", arrays


def normalized(features, arrays, name):
    mean, variance = (arrays[f"{name}.running_{part}"] for part in ("mean", "var"))
    scaled = (features - mean) / np.sqrt(variance + 1e-3)
    return scaled * arrays[f"{name}.weight"] + arrays[f"{name}.bias"]


def test_the_first_layers_are_those_of_numpy(script, written):
    """Scaling, stem and the first depthwise convolution, at one inner place."""
    path, arrays = written
    backbone = create_backbone(f"keras:{path}", image_size=16)
    pixels = np.random.default_rng(1).uniform(0, 255, (1, 16, 16, 3)).astype("float32")
    assert backbone(pixels).shape == (1, 1280)
    scaled = (pixels[0] - 127) / 128
    # SAME of stride 2 on even sides pads below and on the right.
    stem = np.zeros((8, 8, 32))
    for row in range(7):
        for column in range(7):
            patch = scaled[2 * row : 2 * row + 3, 2 * column : 2 * column + 3]
            kernel = arrays["_conv_stem.weight"]
            stem[row, column] = np.einsum("hwc,ochw->o", patch, kernel)
    stem = np.clip(normalized(stem, arrays, "_bn0"), 0, 6)
    kernel = arrays["_blocks.0._depthwise_conv.weight"][:, 0]
    inner = np.einsum("hwc,chw->c", stem[2:5, 2:5], kernel)
    expected = np.clip(normalized(inner, arrays, "_blocks.0._bn1"), 0, 6)
    network, layer = backbone.network, "blocks_0_bn1_relu"
    part = script.keras.Model(network.input, network.get_layer(layer).output)
    np.testing.assert_allclose(part(pixels)[0, 3, 3], expected, rtol=1e-4, atol=1e-4)


def test_batch_norm_is_the_published_one_and_learns(script, written):
    backbone = create_backbone(f"keras:{written[0]}", image_size=32)
    norms = [
        layer
        for layer in backbone.network.layers
        if isinstance(layer, script.layers.BatchNormalization)
    ]
    assert len(norms) == 2 + 3 * 16 - 1
    assert {(n.epsilon, n.momentum, n.trainable) for n in norms} == {(1e-3, 0.99, True)}
    count = sum(np.prod(weight.shape) for weight in backbone.trainable_weights)
    assert count == 3_371_008


def test_other_weights_are_refused_in_one_line(script, tmp_path, monkeypatch, capsys):
    network = script.build()
    monkeypatch.setattr(script, "build", lambda: network)
    arrays = published()
    file, output = tmp_path / "weights.npz", tmp_path / "network.keras"
    words = ["efficientnet_lite0.py", f"--weights={file}", f"--output={output}"]
    monkeypatch.setattr(sys, "argv", words)
    del arrays["_blocks.3._bn1.bias"]
    cases = [
        (arrays, "should hold _blocks.3._bn1.bias. Received: no such name"),
        ({**published(), "_se.weight": np.zeros(2)}, "no place for: ['_se.weight']"),
        ({**published(), "_bn0.bias": np.full(32, np.nan)}, "should be finite"),
    ]
    for content, reason in cases:
        np.savez(file, **content)
        with pytest.raises(SystemExit) as ended:
            script.main()
        assert ended.value.code == 2 and not output.exists()
        (line,) = capsys.readouterr().err.splitlines()
        assert reason in line
