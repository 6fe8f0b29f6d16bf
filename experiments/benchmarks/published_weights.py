"""Do published weights give the same answers here as in PyTorch?

    python experiments/benchmarks/published_weights.py --torch_python=PATH

PATH is the Python of an environment with torch and timm, which this package does not
need. There, networks with random weights are made, saved as `.pth` (zip and legacy) and
`.safetensors`, and asked about random images; here they are loaded and asked the same.
All parameters get noise, so that none is at a value that hides where it went.

At another image or patch size than that of the file, PyTorch's side resizes the table
of positions and the patch kernel by
`torch.nn.functional.interpolate(x, size=..., mode="bicubic", align_corners=False)`,
without antialiasing, as the code of MAE and of Semi-ViT does. timm itself antialiases
tables by default since 0.9, and resizes patch kernels by a pseudo-inverse; DINO gives
a scale factor that is rounded up by 0.1 of a patch. Those differ.

PyTorch's networks get normalised pixels. Ours take pixels in [0, 255] and normalise
inside. A difference is the largest one, over the largest magnitude of PyTorch's answer.
Features of MAE are all tokens of its encoder when nothing is hidden.
Writes experiments/results/published_weights.json and prints the table made from it.
Ends with an error if a difference exceeds 1e-4.
With --fixtures, makes the small files of tests/weights/fixtures instead.
"""

import argparse
import json
import pathlib
import subprocess
import sys
import tempfile
import types

ROOT = pathlib.Path(__file__).resolve().parents[2]
COMMAND = "python experiments/benchmarks/published_weights.py --torch_python=PATH"
RESULT = ROOT / "experiments" / "results" / "published_weights.json"
FIXTURES = ROOT / "tests" / "weights" / "fixtures"
MEAN, STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)
IMAGES, CLASSES = 2, 10
LIMIT = 1e-4
MEASURES = ("features", "logits", "loss")
FORMATS = {".pth": "zip", ".legacy.pth": "legacy", ".safetensors": "safetensors"}
VIT_SIZES = {
    "vit_small_patch16": {"embed_dim": 384, "depth": 12, "num_heads": 6},
    "vit_base_patch16": {"embed_dim": 768, "depth": 12, "num_heads": 12},
}
POOLINGS = {"token": "class_token", "avg": "mean"}
CASES = {
    **{
        f"{name}, {POOLINGS[pooling]}": {"kind": "vit", "name": name, "pool": pooling}
        for name in VIT_SIZES
        for pooling in POOLINGS
    },
    "mae_vit_base_patch16": {"kind": "mae"},
    "convnext_tiny": {"kind": "convnext"},
}


# === PyTorch's side ===


def import_torch():
    """Imports torch and timm."""
    # torchvision's own operators need CUDA in some builds; networks do not need them.
    sys.modules["torchvision._meta_registrations"] = types.ModuleType("none")
    import timm
    import torch

    return torch, timm


def shaken(network, scale=0.02):
    """Adds noise to all parameters of a PyTorch network."""
    import torch

    with torch.no_grad():
        for parameter in network.parameters():
            parameter.add_(scale * torch.randn_like(parameter))
    return network.eval()


def normalized(images):
    """Returns pixels `[B, 3, H, W]` in [0, 255] as published networks want them."""
    import torch

    mean, std = (torch.tensor(x)[:, None, None] for x in (MEAN, STD))
    return (images / 255 - mean) / std


def make_vit(timm, pooling, image_size, patch_size=16, classes=CLASSES, **sizes):
    """Makes timm's ViT."""
    return timm.models.vision_transformer.VisionTransformer(
        img_size=image_size,
        patch_size=patch_size,
        num_classes=classes,
        global_pool=pooling,
        **sizes,
    )


def make_mae(image_size, patch, width, depth, heads, d_width, d_depth, d_heads):
    """Makes a masked autoencoder by the description of its architecture."""
    import torch
    from torch import nn

    def norm(channels):
        return nn.LayerNorm(channels, eps=1e-6)

    class Attention(nn.Module):
        def __init__(self, channels, count):
            super().__init__()
            self.count = count
            self.qkv = nn.Linear(channels, 3 * channels)
            self.proj = nn.Linear(channels, channels)

        def forward(self, tokens):
            batch, number, channels = tokens.shape
            shape = (batch, number, 3, self.count, channels // self.count)
            query, key, value = self.qkv(tokens).reshape(shape).permute(2, 0, 3, 1, 4)
            scores = query @ key.transpose(-2, -1) * query.shape[-1] ** -0.5
            mixed = (scores.softmax(-1) @ value).transpose(1, 2)
            return self.proj(mixed.reshape(batch, number, channels))

    class FeedForward(nn.Module):
        def __init__(self, channels):
            super().__init__()
            self.fc1 = nn.Linear(channels, 4 * channels)
            self.fc2 = nn.Linear(4 * channels, channels)

        def forward(self, tokens):
            return self.fc2(nn.functional.gelu(self.fc1(tokens)))

    class Block(nn.Module):
        def __init__(self, channels, count):
            super().__init__()
            self.norm1, self.norm2 = norm(channels), norm(channels)
            self.attn = Attention(channels, count)
            self.mlp = FeedForward(channels)

        def forward(self, tokens):
            tokens = tokens + self.attn(self.norm1(tokens))
            return tokens + self.mlp(self.norm2(tokens))

    class MaskedAutoencoder(nn.Module):
        def __init__(self):
            super().__init__()
            count = (image_size // patch) ** 2
            self.patch_embed = nn.Module()
            self.patch_embed.proj = nn.Conv2d(3, width, patch, patch)
            self.cls_token = nn.Parameter(torch.zeros(1, 1, width))
            self.pos_embed = nn.Parameter(torch.zeros(1, 1 + count, width))
            self.blocks = nn.ModuleList(Block(width, heads) for _ in range(depth))
            self.norm = norm(width)
            self.decoder_embed = nn.Linear(width, d_width)
            self.mask_token = nn.Parameter(torch.zeros(1, 1, d_width))
            self.decoder_pos_embed = nn.Parameter(torch.zeros(1, 1 + count, d_width))
            self.decoder_blocks = nn.ModuleList(
                Block(d_width, d_heads) for _ in range(d_depth)
            )
            self.decoder_norm = norm(d_width)
            self.decoder_pred = nn.Linear(d_width, patch * patch * 3)

        def targets(self, images):
            batch, _, height, _ = images.shape
            side = height // patch
            cells = images.reshape(batch, 3, side, patch, side, patch)
            cells = torch.einsum("nchpwq->nhwpqc", cells)
            cells = cells.reshape(batch, side * side, patch * patch * 3)
            mean, variance = cells.mean(-1, True), cells.var(-1, keepdim=True)
            return (cells - mean) / (variance + 1e-6) ** 0.5

        def encode(self, images, kept):
            """Returns the tokens of the class and of the patches that are kept."""
            tokens = self.patch_embed.proj(images).flatten(2).transpose(1, 2)
            tokens = tokens + self.pos_embed[:, 1:]
            tokens = tokens.gather(1, kept[:, :, None].expand(-1, -1, width))
            first = self.cls_token + self.pos_embed[:, :1]
            tokens = torch.cat([first.expand(len(tokens), -1, -1), tokens], 1)
            for block in self.blocks:
                tokens = block(tokens)
            return self.norm(tokens)

        def forward(self, images, shuffle, ratio=0.75):
            """Returns the loss for a given order of the patches."""
            batch, count = shuffle.shape
            restore, kept = shuffle.argsort(1), int(count * (1 - ratio))
            tokens = self.decoder_embed(self.encode(images, shuffle[:, :kept]))
            filler = self.mask_token.expand(batch, count - kept, -1)
            patches = torch.cat([tokens[:, 1:], filler], 1)
            patches = patches.gather(1, restore[:, :, None].expand(-1, -1, d_width))
            tokens = torch.cat([tokens[:, :1], patches], 1) + self.decoder_pos_embed
            for block in self.decoder_blocks:
                tokens = block(tokens)
            answer = self.decoder_pred(self.decoder_norm(tokens))[:, 1:]
            error = ((answer - self.targets(images)) ** 2).mean(-1)
            mask = (restore >= kept).float()
            return (error * mask).sum() / mask.sum()

    return MaskedAutoencoder()


def interpolate(x, size):
    """Resizes the last two axes as published code does."""
    import torch

    return torch.nn.functional.interpolate(
        x, size=size, mode="bicubic", align_corners=False
    )


def resized_state(state, grid, patch_size):
    """Returns the weights of a ViT, or of MAE, for another grid and other patches."""
    kernel = interpolate(state["patch_embed.proj.weight"], (patch_size, patch_size))
    tables = {
        name: resized_table(state[name], grid)
        for name in ("pos_embed", "decoder_pos_embed")
        if name in state
    }
    return {**state, **tables, "patch_embed.proj.weight": kernel}


def resized_table(table, grid):
    """Returns a table of positions for another grid."""
    import torch

    side = int((table.shape[1] - 1) ** 0.5)
    cells = table[:, 1:].reshape(1, side, side, -1).permute(0, 3, 1, 2)
    cells = interpolate(cells, (grid, grid)).flatten(2).transpose(1, 2)
    return torch.cat([table[:, :1], cells], 1)


def answers(network, images):
    """Returns features and logits of one of timm's networks."""
    import torch

    with torch.no_grad():
        tokens = network.forward_features(normalized(images))
        features = network.forward_head(tokens, pre_logits=True).numpy()
        return {"features": features, "logits": network.forward_head(tokens).numpy()}


def mae_answers(network, images):
    """Returns an order of the patches, all tokens' features, and the loss for it."""
    import torch

    images, count = normalized(images), network.pos_embed.shape[1] - 1
    shuffle = torch.rand(IMAGES, count).argsort(1)
    everything = torch.arange(count).expand(IMAGES, -1)
    with torch.no_grad():
        features, loss = network.encode(images, everything), network(images, shuffle)
    return {
        "shuffle": shuffle.numpy(),
        "features": features.numpy(),
        "loss": loss.numpy(),
    }


def save_all(state, path):
    """Saves weights in all formats."""
    import torch
    from safetensors.torch import save_file

    torch.save({"model": state}, f"{path}.pth")
    torch.save(state, f"{path}.legacy.pth", _use_new_zipfile_serialization=False)
    save_file(
        {name: x.contiguous() for name, x in state.items()}, f"{path}.safetensors"
    )


def make_case(title, folder):
    """Makes the files of one case, with questions and answers."""
    import numpy as np

    torch, timm = import_torch()
    torch.manual_seed(0)
    case, asked = CASES[title], {}
    images = {size: 255 * torch.rand(IMAGES, 3, size, size) for size in (224, 160, 112)}
    if case["kind"] == "vit":
        sizes = VIT_SIZES[case["name"]]
        network = shaken(make_vit(timm, case["pool"], 224, **sizes))
        for size, patch in ((224, 16), (160, 16), (112, 8)):
            other = make_vit(timm, case["pool"], size, patch, **sizes).eval()
            state = network.state_dict()
            if (size, patch) != (224, 16):
                state = resized_state(state, size // patch, patch)
            other.load_state_dict(state)
            asked[size, patch] = answers(other, images[size])
    elif case["kind"] == "convnext":
        network = shaken(timm.create_model("convnext_tiny", num_classes=CLASSES))
        for size in (224, 160):
            asked[size, 4] = answers(network, images[size])
    else:
        sizes = (16, 768, 12, 12, 512, 8, 16)
        network = shaken(make_mae(224, *sizes))
        asked[224, 16] = mae_answers(network, images[224])
        smaller = make_mae(160, *sizes).eval()
        smaller.load_state_dict(resized_state(network.state_dict(), 10, 16))
        asked[160, 16] = mae_answers(smaller, images[160])
    save_all(network.state_dict(), folder / "weights")
    arrays = {}
    for (size, patch), found in asked.items():
        arrays[f"images_{size}"] = images[size].permute(0, 2, 3, 1).numpy()
        arrays |= {f"{name}_{size}_{patch}": array for name, array in found.items()}
    np.savez(folder / "answers.npz", **arrays)


# === This package's side ===


def difference(ours, theirs):
    """Returns the largest difference over the largest magnitude."""
    import numpy as np

    return float(np.abs(np.asarray(ours) - theirs).max() / np.abs(theirs).max())


def build(case, size, patch):
    """Builds our model for a case."""
    import keras

    from semivit_tf.backbones import create_backbone
    from semivit_tf.methods.classifier import Classifier
    from semivit_tf.methods.mae import MAE

    keras.utils.set_random_seed(1)
    if case["kind"] == "convnext":
        backbone = create_backbone("convnext_tiny", image_size=size)
        return Classifier(backbone, CLASSES)
    options = {"image_size": size, "patch_size": patch}
    if case["kind"] == "mae":
        sincos = {"position_embedding": "sincos"}
        return MAE(create_backbone("vit_base_patch16", **options, **sincos))
    pooling = POOLINGS[case["pool"]]
    return Classifier(
        create_backbone(case["name"], pooling=pooling, **options), CLASSES
    )


def ask(model, images, shuffle=None):
    """Returns our answers by their names; an order of the patches is for MAE."""
    import numpy as np

    backbone = model.backbone
    if shuffle is None:
        features = backbone(images)
        return {"features": features, "logits": model.head(features)}
    tokens = backbone.prepend_class_token(backbone.patch_tokens(images))
    loss = model.autoencoder.reconstruction_loss(
        images, shuffle, np.argsort(shuffle, 1)
    )
    return {"features": backbone.norm(backbone.transform(tokens)), "loss": loss}


def compare(case, folder):
    """Returns a list of rows of differences for one case."""
    import numpy as np

    from semivit_tf.weights import load_published

    rows = []
    with np.load(folder / "answers.npz", allow_pickle=False) as file:
        theirs = dict(file)
    asked = [name.split("_")[1:] for name in theirs if name.startswith("features")]
    for ending, kind in FORMATS.items():
        for size, patch in asked:
            model = build(case, int(size), int(patch))
            coverage = load_published(
                model,
                folder / f"weights{ending}",
                head="keep" if "pool" in case else "auto",
            )
            row = {"file": kind, "image_size": int(size), "patch_size": int(patch)}
            row["resized"] = sorted(coverage.resized)
            shuffle = theirs.get(f"shuffle_{size}_{patch}")
            for name, ours in ask(model, theirs[f"images_{size}"], shuffle).items():
                row[name] = difference(ours, theirs[f"{name}_{size}_{patch}"])
            rows.append(row)
    return rows


def too_large(result):
    """Returns a line for each difference that exceeds the limit, or is no number."""
    return [
        f"{title}, {row['file']}, {row['image_size']} px: {name} {row[name]}"
        for title, rows in result["cases"].items()
        for row in rows
        for name in MEASURES
        if name in row and not row[name] <= LIMIT
    ]


def table(result):
    """Returns the result as a Markdown table: a row a network, its worst case."""
    lines = [
        "| network | image sizes | largest relative difference from PyTorch |",
        "|---|---|---|",
    ]
    for title, rows in result["cases"].items():
        asked = dict.fromkeys(
            f"{row['image_size']} px" + (" (resized)" if row["resized"] else "")
            for row in rows
        )
        worst = {
            name: max(row[name] for row in rows) for name in MEASURES if name in rows[0]
        }
        words = ", ".join(f"{name} {value:.1e}" for name, value in worst.items())
        lines.append(f"| {title} | {', '.join(asked)} | {words} |")
    return "\n".join(lines)


# === Small files for the tests ===

SMALL = {"embed_dim": 16, "depth": 2, "num_heads": 2}


def jax_arrays(state):
    """Returns the weights of timm's ViT by the names and shapes of the JAX release."""
    heads, width = SMALL["num_heads"], SMALL["embed_dim"]
    found = {
        "cls": state["cls_token"],
        "embedding/kernel": state["patch_embed.proj.weight"].permute(2, 3, 1, 0),
        "embedding/bias": state["patch_embed.proj.bias"],
        "Transformer/posembed_input/pos_embedding": state["pos_embed"],
        "Transformer/encoder_norm/scale": state["norm.weight"],
        "Transformer/encoder_norm/bias": state["norm.bias"],
        "head/kernel": state["head.weight"].T,
        "head/bias": state["head.bias"],
    }
    for index in range(SMALL["depth"]):
        block = f"Transformer/encoderblock_{index}"
        there = {
            name.removeprefix(f"blocks.{index}."): x
            for name, x in state.items()
            if name.startswith(f"blocks.{index}.")
        }
        attention = f"{block}/MultiHeadDotProductAttention_1"
        kernels = there["attn.qkv.weight"].reshape(3, heads, -1, width)
        biases = there["attn.qkv.bias"].reshape(3, heads, -1)
        for part, word in enumerate(("query", "key", "value")):
            found[f"{attention}/{word}/kernel"] = kernels[part].permute(2, 0, 1)
            found[f"{attention}/{word}/bias"] = biases[part]
        kernel = there["attn.proj.weight"].T.reshape(heads, -1, width)
        found[f"{attention}/out/kernel"] = kernel
        found[f"{attention}/out/bias"] = there["attn.proj.bias"]
        for number, name in ((0, "norm1"), (2, "norm2")):
            found[f"{block}/LayerNorm_{number}/scale"] = there[f"{name}.weight"]
            found[f"{block}/LayerNorm_{number}/bias"] = there[f"{name}.bias"]
        for number, name in ((0, "fc1"), (1, "fc2")):
            layer = f"{block}/MlpBlock_3/Dense_{number}"
            found[f"{layer}/kernel"] = there[f"mlp.{name}.weight"].T
            found[f"{layer}/bias"] = there[f"mlp.{name}.bias"]
    return {name: x.contiguous().numpy() for name, x in found.items()}


def original_convnext(state):
    """Returns the weights of timm's ConvNeXt by the names of the original release."""
    found = {}
    for name, x in state.items():
        parts = name.split(".")
        if parts[0] == "stem":
            name = ".".join(["downsample_layers", "0", *parts[1:]])
        elif parts[2] == "downsample":
            name = ".".join(["downsample_layers", parts[1], *parts[3:]])
        elif parts[0] == "stages":
            del parts[2]
            name = ".".join(parts).replace("conv_dw", "dwconv")
            name = name.replace("mlp.fc1", "pwconv1").replace("mlp.fc2", "pwconv2")
        name = name.replace("head.norm", "norm").replace("head.fc", "head")
        found[name] = x
    return found


def make_fixtures():
    """Makes small files of all kinds, with questions and answers."""
    import numpy as np

    torch, timm = import_torch()
    from safetensors.torch import save_file

    torch.manual_seed(0)
    FIXTURES.mkdir(parents=True, exist_ok=True)
    images = {size: 255 * torch.rand(2, 3, size, size).round() for size in (16, 24)}
    expected = {
        f"images_{size}": x.permute(0, 2, 3, 1).numpy().astype("uint8")
        for size, x in images.items()
    }

    def optimizer_state():
        parameter = torch.nn.Parameter(torch.ones(3))
        optimizer = torch.optim.AdamW([parameter])
        parameter.sum().backward()
        optimizer.step()
        return optimizer.state_dict()

    def vit(pooling):
        return shaken(make_vit(timm, pooling, 16, 4, classes=3, **SMALL), 0.2)

    def ask(name, network):
        for kind, found in answers(network, images[16]).items():
            expected[f"{name}_{kind}"] = found

    def ask_larger(name, network, pooling):
        other = make_vit(timm, pooling, 24, 4, classes=3, **SMALL).eval()
        other.load_state_dict(resized_state(network.state_dict(), 6, 4))
        expected[f"{name}_logits_24"] = answers(other, images[24])["logits"]

    # === timm's ViT: class token, with what training code leaves around it ===
    token = vit("token")
    arguments = argparse.Namespace(lr=1e-3, output_dir=pathlib.PurePosixPath("out"))
    torch.save(
        {
            "model": token.state_dict(),
            "args": arguments,
            "epoch": 3,
            "best": np.float64(1),
        },
        FIXTURES / "vit_token.pth",
    )
    np.savez(FIXTURES / "vit_token.npz", **jax_arrays(token.state_dict()))
    ask("vit_token", token)
    ask_larger("vit_token", token, "token")

    # === timm's ViT: mean of tokens ===
    mean = vit("avg")
    save_file(mean.state_dict(), FIXTURES / "vit_mean.safetensors")
    torch.save(
        mean.state_dict(),
        FIXTURES / "vit_mean.legacy.pth",
        _use_new_zipfile_serialization=False,
    )
    ask("vit_mean", mean)
    ask_larger("vit_mean", mean, "avg")

    # === Semi-ViT: a network and its average, wrapped ===
    average = vit("avg")
    wrapped = {f"module.{name}": x for name, x in mean.state_dict().items()}
    torch.save(
        {
            "model": wrapped,
            "model_ema": average.state_dict(),
            "optimizer": optimizer_state(),
            "scaler": {"scale": 65536.0},
            "epoch": 3,
            "args": arguments,
        },
        FIXTURES / "semi_vit.pth",
    )
    ask("semi_vit_ema", average)

    # === DINO: student and teacher under projection heads ===
    def projected(network, wrapper):
        state = network.state_dict()
        names = [name for name in state if not name.startswith("head")]
        found = {f"{wrapper}backbone.{name}": state[name] for name in names}
        for name in ("mlp.0.weight", "mlp.0.bias", "last_layer.weight_g"):
            found[f"{wrapper}head.{name}"] = torch.randn(4)
        return found

    student, teacher = vit("token"), vit("token")
    torch.save(
        {
            "student": projected(student, "module."),
            "teacher": projected(teacher, ""),
            "optimizer": optimizer_state(),
            "epoch": 4,
            "args": arguments,
            "dino_loss": {"center": torch.zeros(1, 4)},
        },
        FIXTURES / "dino.pth",
    )
    ask("dino_teacher", teacher)
    ask("dino_student", student)

    # === MAE, with its loss for a given order of patches ===
    mae = shaken(make_mae(16, 4, 16, 2, 2, 8, 1, 2), 0.2)
    torch.save({"model": mae.state_dict()}, FIXTURES / "mae.pth")
    shuffle = torch.rand(2, 16).argsort(1)
    with torch.no_grad():
        expected["mae_loss"] = mae(normalized(images[16]), shuffle).numpy()
    expected["mae_shuffle"] = shuffle.numpy()

    # === ConvNeXt, by both names ===
    convnext = timm.models.convnext.ConvNeXt(
        num_classes=3, depths=(1, 1, 2, 1), dims=(4, 8, 8, 12)
    )
    convnext = shaken(convnext, 0.2)
    for size in (32, 64):
        x = 255 * torch.rand(2, 3, size, size)
        images[size] = x.round()
        expected[f"images_{size}"] = (
            x.round().permute(0, 2, 3, 1).numpy().astype("uint8")
        )
        found = answers(convnext, images[size])
        expected[f"convnext_logits_{size}"] = found["logits"]
    save_file(convnext.state_dict(), FIXTURES / "convnext.safetensors")
    torch.save(
        {"model": original_convnext(convnext.state_dict())},
        FIXTURES / "convnext_original.pth",
    )

    # === Resizing ===
    kernel, cells = torch.randn(3, 2, 4, 4), torch.randn(1, 5, 2, 3)
    expected["kernel"], expected["cells"] = kernel.numpy(), cells.numpy()
    for side in (2, 7):
        expected[f"kernel_{side}"] = interpolate(kernel, (side, side)).numpy()
    expected["cells_5_4"] = interpolate(cells, (5, 4)).numpy()

    # === Tensors as PyTorch may keep them ===
    base = torch.arange(24, dtype=torch.float32) / 8 - 1
    tensors = {
        "base": base,
        "transposed": base.reshape(4, 6).T,
        "part": base[5:11],
        "strided": base[1::5],
        "corner": base.reshape(4, 6)[1:3, 2:5],
        "half": base.half(),
        "bfloat16": base.reshape(2, 12).bfloat16(),
        "double": base.double(),
        "parameter": torch.nn.Parameter(base[:3]),
        "integers": torch.arange(5),
        "scalar": torch.tensor(0.5),
        "empty": torch.zeros(0, 3),
    }
    torch.save(tensors, FIXTURES / "tensors.pth")
    torch.save(
        tensors, FIXTURES / "tensors.legacy.pth", _use_new_zipfile_serialization=False
    )
    for name, x in tensors.items():
        expected[f"tensor_{name}"] = x.detach().double().numpy()
    np.savez_compressed(FIXTURES / "expected.npz", **expected)


# === Both ===


def main():
    """Compares, writes the result, and prints it."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--torch_python", help="a Python that has torch and timm")
    parser.add_argument("--fixtures", action="store_true", help="make the tests' files")
    parser.add_argument("--table", action="store_true", help="print the table only")
    parser.add_argument("--make", help=argparse.SUPPRESS)
    parser.add_argument("--folder", type=pathlib.Path, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.make == "fixtures":
        return make_fixtures()
    if arguments.make:
        return make_case(arguments.make, arguments.folder)
    if arguments.table:
        return print(table(json.loads(RESULT.read_text())))
    if not arguments.torch_python:
        parser.error("--torch_python should be a Python that has torch and timm")
    command = [arguments.torch_python, __file__]
    if arguments.fixtures:
        return subprocess.run([*command, "--make=fixtures"], check=True)

    sys.path.insert(0, str(ROOT))
    from importlib.metadata import version

    result = {"command": COMMAND, "cases": {}}
    for title, case in CASES.items():
        with tempfile.TemporaryDirectory() as folder:
            make = [*command, f"--make={title}", f"--folder={folder}"]
            subprocess.run(make, check=True)
            result["cases"][title] = compare(case, pathlib.Path(folder))
    code = (
        "import json; from importlib.metadata import version; "
        "print(json.dumps({name: version(name) for name in ('torch', 'timm')}))"
    )
    there = subprocess.run(
        [arguments.torch_python, "-c", code],
        check=True,
        stdout=subprocess.PIPE,
        text=True,
    )
    packages = ("tensorflow", "keras", "numpy", "safetensors")
    result["versions"] = {name: version(name) for name in packages}
    result["versions"] |= json.loads(there.stdout)
    RESULT.parent.mkdir(parents=True, exist_ok=True)
    RESULT.write_text(json.dumps(result, indent=2) + "\n")
    print(table(result))
    if wrong := too_large(result):
        raise SystemExit("\n".join([f"Differences above {LIMIT}:", *wrong]))


if __name__ == "__main__":
    main()
