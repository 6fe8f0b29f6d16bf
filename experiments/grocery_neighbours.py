"""Do features of a ViT-S/14 separate photos of groceries, and as well as in PyTorch?

    python experiments/grocery_neighbours.py --data_dir=FOLDER --weights=FILE
        --torch_python=PATH

FOLDER has a folder `train` with one of photos for each class; FILE holds the weights of
a ViT-S/14 by Hugging Face's names for Dinov2; PATH is the Python of an environment with
torch and timm, and may be left out. Of 20 classes that have them, 10 photos are drawn
and cut to 98 x 98 pixels. Each is classified by its 5 nearest neighbours among all
others, by the class token after 8, 10 and 12 blocks and the last norm, and by raw
pixels.
PyTorch's side gets the same pixels, and its own renaming and resizing of the weights.
Writes experiments/results/grocery_neighbours.json and prints the table made from it.
"""

import argparse
import json
import pathlib
import subprocess
import sys
import tempfile

ROOT = pathlib.Path(__file__).resolve().parents[1]
sys.path[:0] = [str(ROOT), str(ROOT / "experiments" / "benchmarks")]

COMMAND = (
    "python experiments/grocery_neighbours.py --data_dir=FOLDER --weights=FILE "
    "--torch_python=PATH"
)
RESULT = ROOT / "experiments" / "results" / "grocery_neighbours.json"
CLASSES, PHOTOS, NEIGHBOURS, SIZE = 20, 10, 5, 98
BLOCKS = (8, 10, 12)
PIXELS = "raw pixels"


def read_photos(data_dir):
    """Returns photos `[N, H, W, 3]` and their classes."""
    import numpy as np

    from semivit_tf.data.folder import load_folder
    from semivit_tf.data.pipelines import evaluation_batches

    parts = load_folder(data_dir)
    labels = np.asarray(parts.train.labels)
    generator = np.random.default_rng(0)
    enough = np.flatnonzero(np.bincount(labels) >= PHOTOS)
    chosen = generator.choice(enough, CLASSES, replace=False)
    indices = np.concatenate(
        [
            generator.choice(np.flatnonzero(labels == number), PHOTOS, replace=False)
            for number in chosen
        ]
    )
    batches = evaluation_batches(parts.train, indices, (SIZE, SIZE))
    images, labels = zip(*batches.as_numpy_iterator(), strict=True)
    return np.concatenate(images), np.concatenate(labels)


def accuracy(features, labels):
    """Returns how often the nearest neighbours of a photo vote for its class."""
    from semivit_tf.evaluation.nearest_neighbors import vote_of_neighbors

    classes = int(labels.max()) + 1
    voted = vote_of_neighbors(features, labels, None, classes, NEIGHBOURS)
    return float((voted == labels).mean())


def our_features(images, weights, depth):
    """Returns features of this package, and its report of what was loaded."""
    from semivit_tf.backbones import create_backbone
    from semivit_tf.weights import load_published

    model = create_backbone("vit_small_patch14", image_size=SIZE, depth=depth)
    coverage = load_published(model, weights)
    return model.predict(images, batch_size=50, verbose=0), coverage


def timm_state(state, depth):
    """Returns weights by Hugging Face's names as timm's ViT of so many blocks wants."""
    import torch
    from dinov2_weights import join, renamed, resized_positions

    state = {name: array.float() for name, array in state.items()}
    state.pop("embeddings.mask_token", None)
    for index in range(depth):
        there = f"encoder.layer.{index}.attention.attention"
        for part in ("weight", "bias"):
            words = (f"{there}.{word}.{part}" for word in ("query", "key", "value"))
            fused = torch.cat([state.pop(word) for word in words])
            state[f"blocks.{index}.attn.qkv.{part}"] = fused
    pairs = {
        "embeddings.cls_token": "cls_token",
        "embeddings.position_embeddings": "pos_embed",
        "embeddings.patch_embeddings.projection": "patch_embed.proj",
        "attention.output.dense": "attn.proj",
        "layer_scale1.lambda1": "ls1.gamma",
        "layer_scale2.lambda1": "ls2.gamma",
        "encoder.layer": "blocks",
        "layernorm.": "norm.",
    }
    state = renamed(state, pairs)
    cut = [f"blocks.{index}." for index in range(depth, max(BLOCKS))]
    state = {n: array for n, array in state.items() if not n.startswith(tuple(cut))}
    table = state["pos_embed"]
    cells = resized_positions(table[:, 1:], SIZE // 14, antialias=False)
    return {**state, "pos_embed": join(table[:, :1], cells)}


def answer_in_pytorch(folder, weights):
    """Writes PyTorch's features of the photos of a folder."""
    import numpy as np
    from dinov2_weights import class_tokens, make_network
    from published_weights import import_torch

    torch, _ = import_torch()
    from safetensors.torch import load_file

    images = torch.tensor(np.load(folder / "images.npy")).permute(0, 3, 1, 2)
    state, found = load_file(weights), {}
    for depth in BLOCKS:
        network = make_network("vit_small_patch14_dinov2", SIZE, {"depth": depth})
        network.load_state_dict(timm_state(state, depth))
        parts = [class_tokens(network, part) for part in images.split(50)]
        found[str(depth)] = np.concatenate(parts)
    np.savez(folder / "features.npz", **found)


def features_in_pytorch(torch_python, images, weights):
    """Returns PyTorch's features by the number of blocks."""
    import numpy as np

    with tempfile.TemporaryDirectory() as folder:
        np.save(f"{folder}/images.npy", images)
        command = [torch_python, __file__, f"--answer={folder}", f"--weights={weights}"]
        subprocess.run(command, check=True)
        with np.load(f"{folder}/features.npz", allow_pickle=False) as file:
            return {int(depth): array for depth, array in file.items()}


def measure(data_dir, weights, torch_python):
    """Returns the result."""
    from published_weights import difference

    images, labels = read_photos(data_dir)
    theirs = {}
    if torch_python:
        theirs = features_in_pytorch(torch_python, images, weights)
    rows = {PIXELS: {"here": accuracy(images.reshape(len(images), -1), labels)}}
    for depth in BLOCKS:
        features, coverage = our_features(images, weights, depth)
        row = {"here": accuracy(features, labels), "loaded": len(coverage.loaded)}
        row |= {"left_out": len(coverage.dropped), "fresh": len(coverage.fresh)}
        row["resized"] = coverage.resized
        if theirs:
            row["pytorch"] = accuracy(theirs[depth], labels)
            row["difference"] = difference(features, theirs[depth])
        rows[f"{depth} blocks"] = row
    return {"command": COMMAND, "photos": len(images), "classes": CLASSES, "rows": rows}


def table(result):
    """Returns the result as a Markdown table."""
    lines = [
        "| features | accuracy | in PyTorch | largest relative difference |",
        "|---|---|---|---|",
    ]
    for name, row in result["rows"].items():
        there, worst = "-", "-"
        if "pytorch" in row:
            there, worst = f"{100 * row['pytorch']:.1f} %", f"{row['difference']:.1e}"
        lines.append(f"| {name} | {100 * row['here']:.1f} % | {there} | {worst} |")
    return "\n".join(lines)


def main():
    """Measures, writes the result, and prints it."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data_dir", help="a folder of photos")
    parser.add_argument("--weights", required=True, help="weights of a ViT-S/14")
    parser.add_argument("--torch_python", help="a Python that has torch and timm")
    parser.add_argument("--answer", type=pathlib.Path, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.answer:
        return answer_in_pytorch(arguments.answer, arguments.weights)
    if not arguments.data_dir:
        parser.error("--data_dir should be a folder of photos")
    found = measure(arguments.data_dir, arguments.weights, arguments.torch_python)
    RESULT.write_text(json.dumps(found, indent=2) + "\n")
    print(table(found))


if __name__ == "__main__":
    main()
