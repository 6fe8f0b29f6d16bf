"""How many images a second does MAE pre-training take, against the same in PyTorch?

    python experiments/benchmarks/mae_step.py --torch_python=PATH

PATH is the Python of an environment with torch, which this package does not need;
without it, PyTorch is left out. A step is forward, backward and AdamW's update of ViT-B
at 224 pixels with the published decoder, on 8 random images in memory, of which three
quarters are hidden. Each way is a process of its own, on all processors, for about
--seconds; they run one after the other, in rounds, and ratios are taken inside rounds.

Images a second mean something on an idle machine only: under load, PyTorch's threads
wait for each other much longer than TensorFlow's. Processor seconds an image, of all
threads together, change less: what waits does not count, because PyTorch's threads are
told to sleep meanwhile. Both are written to experiments/results/mae_step.json, with the
share of the processors that other processes used, and the tables are made from it.
"""

import argparse
import contextlib
import json
import os
import pathlib
import statistics
import subprocess
import sys
import time

ROOT = pathlib.Path(__file__).resolve().parents[2]
COMMAND = "python experiments/benchmarks/mae_step.py --torch_python=PATH"
RESULT = ROOT / "experiments" / "results" / "mae_step.json"
IMAGE, PATCH, BATCH, MASK_RATIO = 224, 16, 8, 0.75
ENCODER, DECODER = (768, 12, 12), (512, 8, 16)  # width, depth, heads
TOKENS = (IMAGE // PATCH) ** 2
SECONDS, ROUNDS = 10.0, 5
OPERATIONS = {"hidden": "ours", "unmasked": "ours", "torch": "torch"}
WAYS = {
    "ours float32": "this package, float32",
    "ours float32 XLA": "this package, float32, XLA",
    "ours bfloat16": "this package, mixed bfloat16",
    "ours bfloat16 XLA": "this package, mixed bfloat16, XLA",
    "torch float32": "PyTorch eager, float32",
    "torch bfloat16": "PyTorch eager, bfloat16 autocast",
    "ours float32 XLA unmasked": "this package, float32, XLA, nothing hidden",
}


def random_images():
    """Returns bytes `[B, H, W, 3]`."""
    import numpy as np

    generator = np.random.default_rng(0)
    return generator.integers(0, 256, (BATCH, IMAGE, IMAGE, 3), "uint8")


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
    import tensorflow as tf

    from semivit_tf.training.optimizers import layer_wise_adamw

    optimizer = layer_wise_adamw(model, 1.5e-4, beta_2=0.95, undecayed=())
    model.compile(optimizer, jit_compile=xla)
    model.optimizer.build(model.trainable_variables)
    model.make_train_function()
    # The step of `fit`, on one iterator: to end one takes tf.data seconds.
    iterator = iter(tf.data.Dataset.from_tensors(random_images()).repeat())

    def take(steps):
        for _ in range(steps):
            logs = model.train_function(iterator)
        return float(logs["loss"])

    return take


def our_operations(mask_ratio):
    """Counts the floating point operations of the matrix products of one step.

    Returns:
        Dict of `encoder` and `decoder`, forward and backward, and `step`.
    """
    model = create_ours("float32", mask_ratio)
    import tensorflow as tf

    def encode(images):
        shuffle, _ = model.draw_order(images)
        return model.encode(images, shuffle, training=True)

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
        return sum(map(product_operations, traced.graph.get_operations()))

    encoder = count(encode, model.backbone)
    step = count(lambda images: model.objective(images)[0], model)
    return {"encoder": encoder, "decoder": step - encoder, "step": step}


def product_operations(operation):
    """Returns the floating point operations of a matrix product, of others none."""
    if operation.type not in ("MatMul", "BatchMatMulV2", "Einsum"):
        return 0
    if operation.type == "Einsum":
        raise NotImplementedError("an einsum is not counted")
    flag = "transpose_a" if operation.type == "MatMul" else "adj_x"
    summed = operation.inputs[0].shape[-2 if operation.get_attr(flag) else -1]
    return 2 * operation.outputs[0].shape.num_elements() * summed


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
    images = torch.from_numpy(random_images()).permute(0, 3, 1, 2).contiguous()
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


def torch_operations():
    """Counts the floating point operations of the matrix products of one step."""
    import torch
    from torch.nn.attention import SDPBackend, sdpa_kernel
    from torch.utils.flop_counter import FlopCounterMode

    model = create_torch_mae()
    # What is counted is attention as products: the fused kernel is not looked into.
    with FlopCounterMode(display=False) as counter, sdpa_kernel(SDPBackend.MATH):
        model(torch.rand(BATCH, 3, IMAGE, IMAGE)).backward()
    return {"step": counter.get_total_flops(), "version": torch.__version__}


# === Measuring ===


def operations(kind):
    """Counts the floating point operations of the matrix products of one step."""
    if kind == "torch":
        return torch_operations()
    return our_operations(MASK_RATIO if kind == "hidden" else 0.0)


def create_steps(way):
    """Returns a function that takes a number of steps in one way."""
    package, precision, *options = way.split()
    if package == "torch":
        return torch_steps(precision)
    mask_ratio = 0.0 if "unmasked" in options else MASK_RATIO
    return our_steps(precision, "XLA" in options, mask_ratio)


def work(way, seconds):
    """Returns what steps of one way cost."""
    take = create_steps(way)
    take(2)  # traces, compiles and fills caches
    start, used, steps = time.perf_counter(), os.times(), 0
    everyone = busy_seconds()
    while time.perf_counter() - start < seconds:
        take(2)
        steps += 2
    passed, now = time.perf_counter() - start, os.times()
    processor = now.user + now.system - used.user - used.system
    others = busy_seconds() - everyone - processor
    return {
        "images_per_second": BATCH * steps / passed,
        "processor_seconds_per_image": processor / (BATCH * steps),
        "others": max(0.0, others / passed / os.cpu_count()),
    }


def busy_seconds():
    """Returns what all processes of this machine have used (Linux)."""
    user, nice, system = open("/proc/stat").readline().split()[1:4]
    return (int(user) + int(nice) + int(system)) / os.sysconf("SC_CLK_TCK")


def ask(python, *arguments):
    """Runs this file in a process of its own; returns its answer."""
    # Threads of OpenMP that wait must not use processors that others could.
    environment = {**os.environ, "OMP_WAIT_POLICY": "passive"}
    command = [python, __file__, *arguments]
    answer = subprocess.run(
        command, check=True, stdout=subprocess.PIPE, env=environment
    )
    return json.loads(answer.stdout.splitlines()[-1])


def measure_all(pythons, seconds, rounds):
    """Steps in all ways in turn; returns lists with an entry for each round."""
    ways = [way for way in WAYS if way.split()[0] in pythons]
    found = {way: [] for way in ways}
    for number in range(rounds):
        # Every other round goes backwards: what changes slowly meets all alike.
        for way in ways if number % 2 == 0 else ways[::-1]:
            python = pythons[way.split()[0]]
            answer = ask(python, f"--way={way}", f"--seconds={seconds}")
            found[way].append(answer)
            print(way, answer, file=sys.stderr, flush=True)
    return {
        way: {key: [answer[key] for answer in answers] for key in answers[0]}
        for way, answers in found.items()
    }


# === Reporting ===


def best_ratio(rounds, precision, key):
    """Returns how many times PyTorch's our best is: the median over rounds.

    Args:
        rounds: What `measure_all` returned.
        precision: String in the names of the ways, empty for all.
        key: What is compared.
    """
    best, invert = (min, True) if key.startswith("processor") else (max, False)
    ratios = []
    for number in range(len(rounds["torch float32"][key])):
        ours, others = (
            best(
                values[key][number]
                for way, values in rounds.items()
                if way.split()[0] == package
                and precision in way
                and not way.endswith("unmasked")
            )
            for package in ("ours", "torch")
        )
        ratios.append(others / ours if invert else ours / others)
    return statistics.median(ratios)


def table(result):
    """Returns the result as Markdown tables."""
    rounds = result["rounds"]
    keys = "images_per_second", "processor_seconds_per_image"
    lines = [
        f"| a step on {BATCH} images | images a second | processor seconds an image |",
        "|---|---|---|",
    ]
    for way, values in rounds.items():
        medians = [statistics.median(values[key]) for key in keys]
        lines.append(f"| {WAYS[way]} | {medians[0]:.2f} | {medians[1]:.2f} |")
    if "torch float32" in rounds:
        for title, precision in (("float32", "float32"), ("all", "")):
            ratios = [best_ratio(rounds, precision, key) for key in keys]
            lines.append(
                f"| our best to PyTorch's, {title} | {ratios[0]:.2f} times as many "
                f"| {ratios[1]:.2f} times fewer |"
            )
    hidden, unmasked = result["operations"]["hidden"], result["operations"]["unmasked"]
    lines += [
        "",
        "| matrix products of a step, 10⁹ operations an image | three quarters hidden "
        "| nothing hidden |",
        "|---|---|---|",
    ]
    for name in ("encoder", "decoder", "step"):
        one, other = (counts[name] / BATCH / 1e9 for counts in (hidden, unmasked))
        lines.append(f"| {name} | {one:.1f} | {other:.1f} |")
    if "torch" in result["operations"]:
        counted = result["operations"]["torch"]["step"] / BATCH / 1e9
        lines.append(f"| step, PyTorch | {counted:.1f} | |")
    return "\n".join(lines)


def main():
    """Measures and writes the result."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--torch_python", help="a Python that has torch")
    parser.add_argument("--table", action="store_true", help="print the tables only")
    parser.add_argument("--seconds", type=float, default=SECONDS, help="of each turn")
    parser.add_argument("--rounds", type=int, default=ROUNDS)
    parser.add_argument("--way", help=argparse.SUPPRESS)
    parser.add_argument("--operations", help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.way:
        print(json.dumps(work(arguments.way, arguments.seconds)))
        return
    if arguments.operations:
        print(json.dumps(operations(arguments.operations)))
        return
    if not arguments.table:
        from importlib.metadata import version

        pythons = {"ours": sys.executable}
        if arguments.torch_python:
            pythons["torch"] = arguments.torch_python
        packages = ("tensorflow", "keras", "numpy")
        result = {
            "command": COMMAND,
            "operations": {
                kind: ask(pythons[package], f"--operations={kind}")
                for kind, package in OPERATIONS.items()
                if package in pythons
            },
            "seconds": arguments.seconds,
            "rounds": measure_all(pythons, arguments.seconds, arguments.rounds),
            "processors": os.cpu_count(),
            "versions": {name: version(name) for name in packages},
        }
        if "torch" in pythons:
            result["versions"]["torch"] = result["operations"]["torch"].pop("version")
        RESULT.parent.mkdir(parents=True, exist_ok=True)
        RESULT.write_text(json.dumps(result, indent=2) + "\n")
    print(table(json.loads(RESULT.read_text())))


if __name__ == "__main__":
    main()
