"""DINOv2's network in NumPy, from weights with the names and axes of its own files."""

import numpy as np
from PIL import Image
from scipy.special import erf

MEAN, STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)


def shaken(vit, seed=0, scale=0.3):
    """Adds noise to all weights, so that none is at a value that hides where it is."""
    generator = np.random.default_rng(seed)
    vit.set_weights(
        [w + generator.normal(scale=scale, size=w.shape) for w in vit.get_weights()]
    )
    return vit


def official(vit):
    """The weights of a ViT by DINOv2's names, in PyTorch's layouts."""
    patch, table = vit.patch_size, vit.positions.table.numpy()
    kernel = vit.patch_embedding.kernel.numpy().reshape(patch, patch, -1, vit.width)
    arrays = {
        "cls_token": vit.class_token.numpy()[None],
        "pos_embed": table[None],
        "mask_token": np.zeros((1, vit.width), "float32"),
        "patch_embed.proj.weight": kernel.transpose(3, 2, 0, 1),
        "patch_embed.proj.bias": vit.patch_embedding.bias.numpy(),
        "norm.weight": vit.norm.gamma.numpy(),
        "norm.bias": vit.norm.beta.numpy(),
    }
    if vit.registers:
        arrays["register_tokens"] = vit.register_tokens.numpy()[None]
    gated = vit.feed_forward == "swiglu"
    for index, block in enumerate(vit.blocks):
        at = f"blocks.{index}"
        for norm in ("norm1", "norm2"):
            arrays[f"{at}.{norm}.weight"] = getattr(block, norm).gamma.numpy()
            arrays[f"{at}.{norm}.bias"] = getattr(block, norm).beta.numpy()
        for name, layer in (
            ("attn.qkv", block.attention.qkv),
            ("attn.proj", block.attention.projection),
            ("mlp.w12" if gated else "mlp.fc1", block.mlp.expand),
            ("mlp.w3" if gated else "mlp.fc2", block.mlp.contract),
        ):
            arrays[f"{at}.{name}.weight"] = layer.kernel.numpy().T
            arrays[f"{at}.{name}.bias"] = layer.bias.numpy()
        arrays[f"{at}.ls1.gamma"] = block.scale1.numpy()
        arrays[f"{at}.ls2.gamma"] = block.scale2.numpy()
    return {name: np.ascontiguousarray(array) for name, array in arrays.items()}


def cubic(x, a=-0.75):
    x = abs(x)
    if x <= 1:
        return (a + 2) * x**3 - (a + 3) * x**2 + 1
    return a * (x**3 - 5 * x**2 + 8 * x - 4) if x < 2 else 0.0


def sampled(cells, count, scale):
    """Bicubic samples of the first axis, at places that a scale factor tells."""
    rows = []
    for row in range(count):
        place = (row + 0.5) / scale - 0.5
        start = int(np.floor(place))
        rows.append(
            sum(
                cubic(place - tap) * cells[min(max(tap, 0), len(cells) - 1)]
                for tap in range(start - 1, start + 3)
            )
        )
    return np.stack(rows)


def by_scale_factor(cells, grid):
    """Cells `[r, c, D]` for a grid, by factors with DINOv2's 0.1."""
    rows, columns = ((n + 0.1) / m for n, m in zip(grid, cells.shape, strict=False))
    cells = sampled(cells, grid[0], rows).swapaxes(0, 1)
    return sampled(cells, grid[1], columns).swapaxes(0, 1)


def by_antialiasing(cells, grid):
    """Cells `[r, c, D]` for a grid, channel by channel as PIL resizes a picture."""
    pictures = [Image.fromarray(c) for c in np.moveaxis(cells.astype("f4"), -1, 0)]
    sized = [p.resize(grid[::-1], Image.Resampling.BICUBIC) for p in pictures]
    return np.stack([np.asarray(picture) for picture in sized], axis=-1)


def layer_norm(x, arrays, name):
    x = (x - x.mean(-1, keepdims=True)) / np.sqrt(x.var(-1, keepdims=True) + 1e-6)
    return x * arrays[f"{name}.weight"] + arrays[f"{name}.bias"]


def linear(x, arrays, name):
    return x @ arrays[f"{name}.weight"].T + arrays[f"{name}.bias"]


def attention(x, arrays, name, heads):
    batch, count, width = x.shape
    parts = np.split(linear(x, arrays, f"{name}.qkv"), 3, axis=-1)
    query, key, value = (
        part.reshape(batch, count, heads, -1).swapaxes(1, 2) for part in parts
    )
    scores = np.exp(query @ key.swapaxes(-1, -2) / np.sqrt(width // heads))
    mixed = scores / scores.sum(-1, keepdims=True) @ value
    return linear(mixed.swapaxes(1, 2).reshape(x.shape), arrays, f"{name}.proj")


def feed_forward(x, arrays, name):
    if f"{name}.w12.weight" in arrays:
        one, two = np.split(linear(x, arrays, f"{name}.w12"), 2, axis=-1)
        return linear(one / (1 + np.exp(-one)) * two, arrays, f"{name}.w3")
    x = linear(x, arrays, f"{name}.fc1")
    return linear(x * (1 + erf(x / np.sqrt(2))) / 2, arrays, f"{name}.fc2")


def tokens(arrays, images, heads, source_grid):
    """All tokens after the last norm: class, registers, patches.

    Args:
        arrays: Dict of `official`.
        images: Array `[B, H, W, 3]` in [0, 255].
        heads: Integer.
        source_grid: Tuple `(rows, columns)` of the table.
    """
    arrays = {name: array.astype("float64") for name, array in arrays.items()}
    x = (images / 255 - np.array(MEAN)) / np.array(STD)
    kernel = arrays["patch_embed.proj.weight"]
    width, _, patch, _ = kernel.shape
    grid = (x.shape[1] // patch, x.shape[2] // patch)
    x = x.reshape(len(x), grid[0], patch, grid[1], patch, 3)
    x = np.einsum("byixjc,dcij->byxd", x, kernel).reshape(len(x), -1, width)
    x = x + arrays["patch_embed.proj.bias"]
    first = np.broadcast_to(arrays["cls_token"], (len(x), 1, width))
    table, registers = arrays["pos_embed"][0], arrays.get("register_tokens")
    cells = table[1:].reshape(*source_grid, width)
    if grid != tuple(source_grid):
        resize = by_scale_factor if registers is None else by_antialiasing
        cells = resize(cells, grid)
    positions = np.concatenate([table[:1], cells.reshape(-1, width)])
    x = np.concatenate([first, x], axis=1) + positions
    if registers is not None:
        registers = np.broadcast_to(registers, (len(x), *registers.shape[1:]))
        x = np.concatenate([x[:, :1], registers, x[:, 1:]], axis=1)
    index = 0
    while f"blocks.{index}.norm1.weight" in arrays:
        at = f"blocks.{index}"
        change = attention(
            layer_norm(x, arrays, f"{at}.norm1"), arrays, f"{at}.attn", heads
        )
        x = x + change * arrays[f"{at}.ls1.gamma"]
        change = feed_forward(layer_norm(x, arrays, f"{at}.norm2"), arrays, f"{at}.mlp")
        x = x + change * arrays[f"{at}.ls2.gamma"]
        index += 1
    return layer_norm(x, arrays, "norm")
