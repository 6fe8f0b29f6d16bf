"""Do DINOv2's networks give the same answers here as in PyTorch?

    python experiments/benchmarks/dinov2_weights.py --torch_python=PATH

PATH is the Python of an environment with torch and timm. There, timm's networks get
random weights, layer scales among them, and are saved under timm's names, those of the
official files, and those of Hugging Face's transformers; here they are loaded and asked
the same. For another size than 518 pixels PyTorch's side resizes positions by
`torch.nn.functional.interpolate` as DINOv2 does: bicubic by a scale factor that is 0.1
of a patch too large, or, with registers, to a size and antialiased.

A difference is the largest one, over the largest magnitude of PyTorch's answer.
Writes experiments/results/dinov2_weights.json and prints the table made from it. Ends
with an error if a difference exceeds 1e-4.
"""

import argparse
import json
import pathlib
import subprocess
import sys
import tempfile

from published_weights import LIMIT, ROOT, difference, import_torch, normalized

COMMAND = "python experiments/benchmarks/dinov2_weights.py --torch_python=PATH"
RESULT = ROOT / "experiments" / "results" / "dinov2_weights.json"
TRAINED, PATCH = 518, 14
SIZES = (518, 224, 98)
# Our name and timm's, with the options of each.
CASES = {
    "vit_small_patch14": ("vit_small_patch14_dinov2", {}, {}),
    "vit_small_patch14, 4 registers": (
        "vit_small_patch14_reg4_dinov2",
        {},
        {"registers": 4},
    ),
    "vit_giant_patch14, 2 blocks": (
        "vit_giant_patch14_dinov2",
        {"depth": 2},
        {"depth": 2},
    ),
}

# === PyTorch's side ===


def make_network(name, image_size, options):
    """Makes timm's network."""
    _, timm = import_torch()
    return timm.create_model(name, img_size=image_size, **options).eval()


def resized_positions(cells, side, antialias):
    """Resizes positions `[1, N, D]` of a square as DINOv2 does."""
    from torch.nn.functional import interpolate

    before = int(cells.shape[1] ** 0.5)
    if before == side:
        return cells
    grid = cells.reshape(1, before, before, -1).permute(0, 3, 1, 2)
    if antialias:
        how = {"size": (side, side), "antialias": True}
    else:
        how = {"scale_factor": ((side + 0.1) / before,) * 2}
    grid = interpolate(grid, mode="bicubic", **how)
    assert grid.shape[2:] == (side, side)
    return grid.flatten(2).transpose(1, 2)


def resized_state(state, side):
    """Returns the weights of timm's network for another number of patches."""
    table, registers = state["pos_embed"], "reg_token" in state
    first = table[:, : 0 if registers else 1]  # a row for the class token
    cells = resized_positions(table[:, first.shape[1] :], side, registers)
    return {**state, "pos_embed": join(first, cells)}


def join(*parts):
    """Joins arrays `[1, N, D]` of tokens."""
    import torch

    return torch.cat(parts, 1)


def official_state(state):
    """Returns timm's weights by the names of the official files."""
    import torch

    found = dict(state)
    if "reg_token" in state:
        row = torch.randn_like(state["cls_token"])
        found["register_tokens"] = found.pop("reg_token")
        found["cls_token"] = state["cls_token"] - row
        found["pos_embed"] = join(row, state["pos_embed"])
    found["mask_token"] = torch.zeros(1, state["cls_token"].shape[-1])
    gated = 2 * state["blocks.0.mlp.fc2.weight"].shape[1]
    if gated == state["blocks.0.mlp.fc1.weight"].shape[0]:
        found = renamed(found, {"mlp.fc1": "mlp.w12", "mlp.fc2": "mlp.w3"})
    return found


def transformers_state(state):
    """Returns the official weights by the names of Hugging Face's transformers."""
    found = {}
    for name, array in state.items():
        words = ("query", "key", "value") if ".qkv." in name else ()
        for word, part in zip(words, array.chunk(3), strict=False):
            found[name.replace("attn.qkv", f"attention.attention.{word}")] = part
        if not words:
            found[name] = array
    tokens = ("cls_token", "mask_token", "register_tokens")
    found = renamed(
        found,
        {
            "attn.proj": "attention.output.dense",
            "ls1.gamma": "layer_scale1.lambda1",
            "ls2.gamma": "layer_scale2.lambda1",
            "mlp.w12": "mlp.weights_in",
            "mlp.w3": "mlp.weights_out",
            "blocks": "encoder.layer",
            **{name: f"embeddings.{name}" for name in tokens},
            "pos_embed": "embeddings.position_embeddings",
            "patch_embed.proj": "embeddings.patch_embeddings.projection",
        },
    )
    for part in ("weight", "bias"):
        found[f"layernorm.{part}"] = found.pop(f"norm.{part}")
    return found


def renamed(state, pairs):
    """Returns weights with parts of their names replaced."""
    found = {}
    for name, array in state.items():
        for before, after in pairs.items():
            name = name.replace(before, after)
        found[name] = array
    return found


def class_tokens(network, images):
    """Returns the normalised class token of images `[B, 3, H, W]` in [0, 255]."""
    import torch

    with torch.no_grad():
        return network.forward_features(normalized(images))[:, 0].numpy()


def make_case(title, folder):
    """Makes the files of one case, with questions and answers."""
    import numpy as np

    torch, _ = import_torch()
    from safetensors.torch import save_file

    torch.manual_seed(0)
    name, options, _ = CASES[title]
    network = make_network(name, TRAINED, options)
    with torch.no_grad():
        for key, parameter in network.named_parameters():
            if key.endswith(".gamma"):
                parameter.uniform_(0.2, 1.5)
            else:
                parameter.add_(0.02 * torch.randn_like(parameter))
    state, arrays = network.state_dict(), {}
    for size in SIZES:
        images = 255 * torch.rand(2, 3, size, size)
        other = make_network(name, size, options)
        other.load_state_dict(resized_state(state, size // PATCH))
        arrays[f"images_{size}"] = images.permute(0, 2, 3, 1).numpy()
        arrays[f"features_{size}"] = class_tokens(other, images)
    np.savez(folder / "answers.npz", **arrays)
    official = official_state(state)
    for names, found in (
        ("timm", state),
        ("official", official),
        ("transformers", transformers_state(official)),
    ):
        found = {key: array.contiguous() for key, array in found.items()}
        save_file(found, folder / f"{names}.safetensors")


# === This package's side ===


def compare(title, folder):
    """Returns a list of rows of differences for one case."""
    import numpy as np

    from semivit_tf.backbones import create_backbone
    from semivit_tf.weights import load_published

    _, _, options = CASES[title]
    with np.load(folder / "answers.npz", allow_pickle=False) as file:
        theirs = dict(file)
    rows = []
    for path in sorted(folder.glob("*.safetensors")):
        for size in SIZES:
            name = title.partition(",")[0]
            model = create_backbone(name, image_size=size, **options)
            coverage = load_published(model, path)
            assert len(coverage.loaded) == len(model.weights)
            features = model(theirs[f"images_{size}"])
            worst = difference(features, theirs[f"features_{size}"])
            rows.append({"names": path.stem, "image_size": size, "features": worst})
    return rows


def table(result):
    """Returns the result as a Markdown table: a row a network, its worst case."""
    lines = [
        "| network | names | image sizes | largest relative difference from PyTorch |",
        "|---|---|---|---|",
    ]
    for title, rows in result["cases"].items():
        names = ", ".join(dict.fromkeys(row["names"] for row in rows))
        sizes = ", ".join(dict.fromkeys(f"{row['image_size']} px" for row in rows))
        worst = max(row["features"] for row in rows)
        lines.append(f"| {title} | {names} | {sizes} | features {worst:.1e} |")
    return "\n".join(lines)


def versions(torch_python):
    """Returns the versions of the packages on both sides."""
    from importlib.metadata import version

    code = (
        "import json; from importlib.metadata import version; "
        "print(json.dumps({name: version(name) for name in ('torch', 'timm')}))"
    )
    there = subprocess.check_output([torch_python, "-c", code], text=True)
    ours = {name: version(name) for name in ("tensorflow", "keras", "numpy")}
    return ours | json.loads(there)


def main():
    """Compares, writes the result, and prints it."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--torch_python", help="a Python that has torch and timm")
    parser.add_argument("--make", help=argparse.SUPPRESS)
    parser.add_argument("--folder", type=pathlib.Path, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.make:
        return make_case(arguments.make, arguments.folder)
    if not arguments.torch_python:
        parser.error("--torch_python should be a Python that has torch and timm")
    sys.path.insert(0, str(ROOT))
    result = {"command": COMMAND, "cases": {}}
    for title in CASES:
        with tempfile.TemporaryDirectory() as folder:
            command = [arguments.torch_python, __file__]
            make = [f"--make={title}", f"--folder={folder}"]
            subprocess.run([*command, *make], check=True)
            result["cases"][title] = compare(title, pathlib.Path(folder))
    result["versions"] = versions(arguments.torch_python)
    RESULT.write_text(json.dumps(result, indent=2) + "\n")
    print(table(result))
    rows = [row for rows in result["cases"].values() for row in rows]
    if wrong := [row for row in rows if not row["features"] <= LIMIT]:
        raise SystemExit(f"Differences above {LIMIT}: {wrong}")


if __name__ == "__main__":
    main()
