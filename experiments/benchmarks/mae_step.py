"""How many images a second does MAE pre-training take, against the same in PyTorch?

    python experiments/benchmarks/mae_step.py --torch_python=PATH

PATH is the Python of an environment with torch and timm, which this package does not
need; without it, PyTorch is left out. A step is forward, backward and AdamW's update of
ViT-B at 224 pixels with the published decoder, on 8 random images in memory, of which
three quarters are hidden. How it is timed stands in turns.py. Writes
experiments/results/mae_step.json and prints the tables made from it.
"""

import contextlib
import os
import statistics
import sys

from turns import (
    ROOT,
    best_ratio,
    each_machine,
    main,
    product_operations,
    random_images,
    share_of_products,
    steps_of_fit,
)

RESULT = ROOT / "experiments" / "results" / "mae_step.json"
IMAGE, PATCH, BATCH, MASK_RATIO = 224, 16, 8, 0.75
ENCODER, DECODER = (768, 12, 12), (512, 8, 16)  # width, depth, heads
TOKENS = (IMAGE // PATCH) ** 2
WAYS = {
    "ours float32": "this package, float32",
    "ours float32 XLA": "this package, float32, XLA",
    "ours bfloat16": "this package, mixed bfloat16",
    "ours bfloat16 XLA": "this package, mixed bfloat16, XLA",
    "torch float32": "PyTorch eager, float32",
    "torch bfloat16": "PyTorch eager, bfloat16 autocast",
    "ours float32 XLA unmasked": "this package, float32, XLA, no masking",
}


# === This package ===


def create_ours(precision, mask_ratio):
    """Returns the masked autoencoder of the pretrain stage."""
    sys.path.insert(0, str(ROOT))
    import keras

    from semivit_tf.backbones import create_backbone
    from semivit_tf.methods.mae import MAE

    keras.utils.set_random_seed(0)
    keras.config.set_dtype_policy(
        "mixed_bfloat16" if precision == "bfloat16" else precision
    )
    backbone = create_backbone(
        "vit_base_patch16", position_embedding="sincos", initialization="xavier_uniform"
    )
    width, depth, heads = DECODER
    return MAE(
        backbone,
        mask_ratio=mask_ratio,
        decoder_width=width,
        decoder_depth=depth,
        decoder_heads=heads,
    )


def our_steps(precision, xla, mask_ratio):
    """Returns a function that takes a number of steps."""
    model = create_ours(precision, mask_ratio)
    from semivit_tf.training.optimizers import layer_wise_adamw

    optimizer = layer_wise_adamw(model, 1.5e-4, beta_2=0.95, undecayed=())
    model.compile(optimizer, jit_compile=xla)
    model.optimizer.build(model.trainable_variables)
    return steps_of_fit(model, random_images(BATCH, IMAGE, IMAGE, 3))


def our_operations(mask_ratio):
    """Counts the floating point operations of the matrix products of one step.

    Returns:
        Dict of `encoder` and `decoder`, forward and backward, and `step`.
    """
    model = create_ours("float32", mask_ratio)
    import tensorflow as tf

    def encode(images):
        shuffle, _ = model.draw_order(images)
        return model.autoencoder.encode(images, shuffle, training=True)

    def gradients(images, forward, variables):
        with tf.GradientTape() as tape:
            loss = tf.reduce_sum(forward(images))
        return tape.gradient(loss, variables)

    def count(forward, model):
        images = tf.TensorSpec((BATCH, IMAGE, IMAGE, 3), tf.uint8)
        traced = tf.function(
            lambda images: gradients(images, forward, model.trainable_variables),
            autograph=False,
        ).get_concrete_function(images)
        return product_operations(traced.graph)

    encoder = count(encode, model.backbone)
    step = count(lambda images: model.objective(model.prepare(images))[0], model)
    return {"encoder": encoder, "decoder": step - encoder, "step": step}


# === PyTorch ===


def create_torch_mae():
    """Returns the published masked autoencoder as a module of PyTorch."""
    import torch
    from torch import nn
    from torch.nn import functional

    class Block(nn.Module):
        def __init__(self, width, heads):
            super().__init__()
            self.heads = heads
            self.norm1 = nn.LayerNorm(width, eps=1e-6)
            self.qkv = nn.Linear(width, 3 * width)
            self.projection = nn.Linear(width, width)
            self.norm2 = nn.LayerNorm(width, eps=1e-6)
            self.expand = nn.Linear(width, 4 * width)
            self.contract = nn.Linear(4 * width, width)

        def attention(self, tokens):
            batch, count, width = tokens.shape
            qkv = self.qkv(tokens).reshape(batch, count, 3, self.heads, -1)
            query, key, value = qkv.permute(2, 0, 3, 1, 4).unbind(0)
            mixed = functional.scaled_dot_product_attention(query, key, value)
            return self.projection(mixed.transpose(1, 2).reshape(batch, count, width))

        def forward(self, tokens):
            tokens = tokens + self.attention(self.norm1(tokens))
            hidden = functional.gelu(self.expand(self.norm2(tokens)))
            return tokens + self.contract(hidden)

    def table(width):
        """Returns sine-cosine positions with a row of zeros in front."""
        angles = torch.arange(IMAGE // PATCH)[:, None] * 10000.0 ** (
            -torch.arange(width // 4) / (width // 4)
        )
        waves = torch.cat([angles.sin(), angles.cos()], 1)
        side = len(waves)
        columns, rows = waves.repeat(side, 1), waves.repeat_interleave(side, 0)
        grid = torch.cat([columns, rows], 1)
        return torch.cat([torch.zeros(1, width), grid])[None]

    class MaskedAutoencoder(nn.Module):
        def __init__(self):
            super().__init__()
            width, depth, heads = ENCODER
            self.embed = nn.Conv2d(3, width, PATCH, PATCH)
            self.class_token = nn.Parameter(torch.randn(1, 1, width) * 0.02)
            self.blocks = nn.Sequential(*(Block(width, heads) for _ in range(depth)))
            self.norm = nn.LayerNorm(width, eps=1e-6)
            self.register_buffer("positions", table(width))
            inner, depth, heads = DECODER
            self.enter = nn.Linear(width, inner)
            self.mask_token = nn.Parameter(torch.randn(1, 1, inner) * 0.02)
            self.decoder = nn.Sequential(*(Block(inner, heads) for _ in range(depth)))
            self.decoder_norm = nn.LayerNorm(inner, eps=1e-6)
            self.register_buffer("decoder_positions", table(inner))
            self.prediction = nn.Linear(inner, PATCH**2 * 3)
            for module in self.modules():
                if isinstance(module, (nn.Linear, nn.Conv2d)):
                    nn.init.xavier_uniform_(module.weight.flatten(1))
                    nn.init.zeros_(module.bias)

        def forward(self, images):
            batch, kept = len(images), int(TOKENS * (1 - MASK_RATIO))
            tokens = self.embed(images).flatten(2).transpose(1, 2)
            tokens = tokens + self.positions[:, 1:]
            shuffle = torch.rand(batch, TOKENS).argsort(1)
            restore = shuffle.argsort(1)
            index = shuffle[:, :kept, None].expand(-1, -1, tokens.shape[-1])
            tokens = tokens.gather(1, index)
            first = (self.class_token + self.positions[:, :1]).expand(batch, -1, -1)
            tokens = self.norm(self.blocks(torch.cat([first, tokens], 1)))

            tokens = self.enter(tokens)
            filler = self.mask_token.to(tokens.dtype).expand(batch, TOKENS - kept, -1)
            patches = torch.cat([tokens[:, 1:], filler], 1)
            index = restore[:, :, None].expand(-1, -1, patches.shape[-1])
            tokens = torch.cat([tokens[:, :1], patches.gather(1, index)], 1)
            tokens = self.decoder(tokens + self.decoder_positions)
            predicted = self.prediction(self.decoder_norm(tokens))[:, 1:]
            return self.loss(images, predicted, (restore >= kept).float())

        def loss(self, images, predicted, mask):
            side = IMAGE // PATCH
            cells = images.reshape(-1, 3, side, PATCH, side, PATCH)
            target = cells.permute(0, 2, 4, 3, 5, 1).reshape(predicted.shape)
            mean, variance = target.mean(-1, True), target.var(-1, keepdim=True)
            target = (target - mean) / (variance + 1e-6) ** 0.5
            error = (predicted.float() - target).square().mean(-1)
            return (error * mask).sum() / mask.sum()

    return MaskedAutoencoder()


def torch_steps(precision):
    """Returns a function that takes a number of steps."""
    import torch

    torch.manual_seed(0)
    torch.set_num_threads(os.cpu_count())
    model = create_torch_mae()
    matrices = [p for p in model.parameters() if p.ndim > 1]
    others = [p for p in model.parameters() if p.ndim <= 1]
    groups = [{"params": matrices}, {"params": others, "weight_decay": 0.0}]
    optimizer = torch.optim.AdamW(
        groups, 1.5e-4, betas=(0.9, 0.95), weight_decay=0.05, fused=True
    )
    images = (
        torch.from_numpy(random_images(BATCH, IMAGE, IMAGE, 3))
        .permute(0, 3, 1, 2)
        .contiguous()
    )
    mean = torch.tensor([0.485, 0.456, 0.406])[:, None, None]
    deviation = torch.tensor([0.229, 0.224, 0.225])[:, None, None]

    def step():
        cast = (
            torch.autocast("cpu", torch.bfloat16)
            if precision == "bfloat16"
            else contextlib.nullcontext()
        )
        with cast:
            loss = model((images / 255.0 - mean) / deviation)
        loss.backward()
        optimizer.step()
        optimizer.zero_grad()
        return float(loss.detach())

    def take(steps):
        for _ in range(steps):
            step()

    return take


# === Ways ===


def count_operations():
    """Counts operations with three quarters of the tokens hidden, and with none."""
    hidden, unmasked = our_operations(MASK_RATIO), our_operations(0.0)
    return {"hidden": hidden, "unmasked": unmasked}


def create_steps(way):
    """Returns a function that takes a number of steps in one way."""
    package, precision, *options = way.split()
    if package == "torch":
        return torch_steps(precision)
    mask_ratio = 0.0 if "unmasked" in options else MASK_RATIO
    return our_steps(precision, "XLA" in options, mask_ratio)


# === Reporting ===


def table(result):
    """Returns the result as Markdown tables."""
    operations = result["operations"]
    times = each_machine(result, lambda rounds: machine_table(rounds, operations))
    lines = [
        times,
        "",
        "| matmuls of a step, GFLOP per image | 75 % of the patches masked "
        "| none masked |",
        "|---|---|---|",
    ]
    for name in ("encoder", "decoder", "step"):
        one, other = (counts[name] / BATCH / 1e9 for counts in operations.values())
        lines.append(f"| {name} | {one:.1f} | {other:.1f} |")
    return "\n".join(lines)


def machine_table(rounds, operations):
    """Returns what one machine took."""
    keys = "images_per_second", "processor_seconds_per_image"
    lines = [
        f"| MAE step on {BATCH} images, ViT-B/16 | images/s | CPU seconds per image "
        "| peak memory | share of the peak float32 matmul rate |",
        "|---|---|---|---|---|",
    ]
    for way, values in rounds.items():
        medians = [statistics.median(values[key]) for key in keys]
        peak = statistics.median(values["peak_bytes"]) / 2**30
        counts = operations["unmasked" if way.endswith("unmasked") else "hidden"]
        share = share_of_products(rounds, way, counts["step"] / BATCH)
        lines.append(
            f"| {WAYS[way]} | {medians[0]:.2f} | {medians[1]:.2f} | {peak:.1f} GB "
            f"| {share:.2f} |"
        )
    ways = [way for way in rounds if not way.endswith("unmasked")]
    if "torch float32" in ways:
        for title, precision in (("float32", "float32"), ("all", "")):
            chosen = [way for way in ways if precision in way]
            ours = [way for way in chosen if way.startswith("ours")]
            others = [way for way in chosen if way.startswith("torch")]
            faster, less = (best_ratio(rounds, ours, others, key) for key in keys)
            lines.append(
                f"| our best against PyTorch's best, {title} | {faster:.2f} x "
                f"| {1 / less:.2f} x | | |"
            )
    return "\n".join(lines)


if __name__ == "__main__":
    main(
        __file__,
        RESULT,
        WAYS,
        BATCH,
        create_steps,
        count_operations,
        table,
        summary=__doc__.splitlines()[0],
    )
