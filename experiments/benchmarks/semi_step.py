"""How many images a second does a step of Semi-ViT take, against the same in PyTorch?

    python experiments/benchmarks/semi_step.py --torch_python=PATH

PATH is the Python of an environment with torch and timm, which this package does not
need; without it, PyTorch is left out. A step is what stage 3 does with a batch of 4
labelled and 20 unlabelled images in memory, ViT-S/16 at 224 pixels: the teacher's
pseudo labels, probabilistic mixup, forward and backward of the student, AdamW with
layer-wise rates and the teacher's moving average. PyTorch's is the usual loop around
timm's ViT, which runs the student on every image; one way picks those that count before
it does. How steps are timed stands in turns.py. Writes
experiments/results/semi_step.json and prints the table made from it.
"""

import contextlib
import copy
import os
import statistics
import sys
import types

import numpy as np
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

RESULT = ROOT / "experiments" / "results" / "semi_step.json"
IMAGE, CLASSES, LABELED, UNLABELED = 224, 1000, 4, 20
BATCH = LABELED + UNLABELED
DECAY, RATE, LAYER_DECAY, MOMENTUM = 0.05, 1e-4, 0.65, 0.9999
WEIGHT, SMOOTHING = 5.0, 0.1
WAYS = {
    "ours float32": "this package, float32",
    "ours float32 XLA": "this package, float32, XLA",
    "ours bfloat16": "this package, mixed bfloat16",
    "ours bfloat16 XLA": "this package, mixed bfloat16, XLA",
    "torch float32": "PyTorch eager, float32",
    "torch bfloat16": "PyTorch eager, bfloat16 autocast",
    "ours float32 half": "this package, float32, half kept",
    "ours bfloat16 half": "this package, mixed bfloat16, half kept",
    "torch float32 half": "PyTorch eager, float32, half kept",
}


def kept_images(options):
    """Returns how many of the unlabelled images count."""
    return UNLABELED // 2 if "half" in options else UNLABELED


def labels():
    """Returns the classes of the labelled images."""
    return np.random.default_rng(0).integers(0, CLASSES, LABELED)


# === This package ===


def create_ours(precision, kept):
    """Returns the method of the semi_finetune stage; a fixed number of images count."""
    sys.path.insert(0, str(ROOT))
    import keras
    from keras import ops

    from semivit_tf.backbones import create_backbone
    from semivit_tf.methods.semi_vit import SemiViT

    class Fixed(SemiViT):
        def mix(self, images, targets, confidence, weight):
            images, targets, weight = super().mix(images, targets, confidence, weight)
            counts = ops.arange(weight.shape[0]) < kept
            return images, targets, ops.cast(counts, "float32")

    keras.utils.set_random_seed(0)
    keras.config.set_dtype_policy(
        "mixed_bfloat16" if precision == "bfloat16" else precision
    )
    backbone = create_backbone("vit_small_patch16")
    return Fixed(
        backbone,
        CLASSES,
        unlabeled_weight=WEIGHT,
        label_smoothing=SMOOTHING,
        mixup_alpha=0.0,
        cutmix_alpha=0.0,
    )


def our_batch():
    """Returns a batch as the stage gets it."""
    views = {
        "image": random_images(LABELED, IMAGE, IMAGE, 3),
        "weak": random_images(UNLABELED, IMAGE, IMAGE, 3),
        "strong": random_images(UNLABELED, IMAGE, IMAGE, 3),
    }
    return views, labels()


def our_steps(precision, xla, kept):
    """Returns a function that takes a number of steps."""
    model = create_ours(precision, kept)
    from semivit_tf.methods.ema_teacher import EMATeacher
    from semivit_tf.training.optimizers import layer_wise_adamw

    model.compile(
        layer_wise_adamw(model, RATE, layer_decay=LAYER_DECAY), jit_compile=xla
    )
    model.optimizer.build(model.trainable_variables)
    EMATeacher(MOMENTUM).set_model(model)
    return steps_of_fit(model, our_batch())


def count_operations():
    """Counts the matrix products of the networks, by the number of images kept."""
    model = create_ours("float32", UNLABELED)
    import tensorflow as tf

    def count(function, images):
        spec = tf.TensorSpec((images, IMAGE, IMAGE, 3), tf.uint8)
        traced = tf.function(function, autograph=False).get_concrete_function(spec)
        return product_operations(traced.graph)

    def learn(images):
        with tf.GradientTape() as tape:
            loss = tf.reduce_sum(model.student(images, training=True))
        return tape.gradient(loss, model.student.trainable_variables)

    teacher = count(lambda images: model.teacher(images, training=False), UNLABELED)
    return {
        name: teacher + count(learn, LABELED + kept)
        for name, kept in (("all", UNLABELED), ("half", UNLABELED // 2))
    }


# === PyTorch ===


def torch_groups(model):
    """Returns parameters in groups of one layer, with its rate and its decay."""
    blocks = len(model.blocks)
    groups = {}
    for name, parameter in model.named_parameters():
        if name.startswith("blocks."):
            layer = int(name.split(".")[1]) + 1
        elif name.startswith(("patch_embed", "cls_token", "pos_embed")):
            layer = 0
        else:
            layer = blocks + 1
        undecayed = parameter.ndim <= 1 or name in ("cls_token", "pos_embed")
        group = {
            "params": [],
            "lr": RATE * LAYER_DECAY ** (blocks + 1 - layer),
            "weight_decay": 0.0 if undecayed else DECAY,
        }
        groups.setdefault((layer, undecayed), group)["params"].append(parameter)
    return list(groups.values())


def torch_mixup(images, targets, confidence):
    """Mixes rows with random partners by their confidences, whole or by boxes."""
    import torch

    partner = torch.randperm(len(images))
    ratio = confidence / (confidence + confidence[partner])
    others = images[partner]
    mixed = torch.empty_like(images)
    for row in range(len(images)):
        share = float(ratio[row])
        if torch.rand(()) < 0.5:
            half = int(IMAGE * (1 - share) ** 0.5) // 2
            y, x = torch.randint(IMAGE, (2,)).tolist()
            y0, y1, x0, x1 = (
                min(max(edge, 0), IMAGE)
                for edge in (y - half, y + half, x - half, x + half)
            )
            mixed[row] = images[row]
            mixed[row, :, y0:y1, x0:x1] = others[row, :, y0:y1, x0:x1]
            ratio[row] = 1 - (y1 - y0) * (x1 - x0) / IMAGE**2
        else:
            torch.lerp(others[row], images[row], share, out=mixed[row])
    return mixed, torch.lerp(targets[partner], targets, ratio[:, None])


def torch_steps(precision, kept, picks):
    """Returns a function that takes a number of steps."""
    # torchvision's own operators need CUDA in some builds; networks do not need them.
    sys.modules["torchvision._meta_registrations"] = types.ModuleType("none")
    import timm
    import torch
    from torch.nn import functional

    torch.manual_seed(0)
    torch.set_num_threads(os.cpu_count())
    student = timm.create_model(
        "vit_small_patch16_224", num_classes=CLASSES, global_pool="avg"
    )
    teacher = copy.deepcopy(student).eval().requires_grad_(False)
    averages, parameters = list(teacher.parameters()), list(student.parameters())
    optimizer = torch.optim.AdamW(torch_groups(student), betas=(0.9, 0.999), fused=True)
    mean = torch.tensor([0.485, 0.456, 0.406])[:, None, None]
    deviation = torch.tensor([0.229, 0.224, 0.225])[:, None, None]

    def images(count):
        pixels = torch.from_numpy(random_images(count, IMAGE, IMAGE, 3))
        return pixels.permute(0, 3, 1, 2).contiguous()

    labeled, weak, strong = images(LABELED), images(UNLABELED), images(UNLABELED)
    classes = torch.from_numpy(labels())
    counts = (torch.arange(UNLABELED) < kept).float()

    def normalized(images):
        return (images / 255.0 - mean) / deviation

    def smoothed(classes):
        one_hot = functional.one_hot(classes, CLASSES).float()
        return one_hot * (1 - SMOOTHING) + SMOOTHING / CLASSES

    def cast():
        if precision == "bfloat16":
            return torch.autocast("cpu", torch.bfloat16)
        return contextlib.nullcontext()

    def step():
        with torch.no_grad(), cast():
            probabilities = teacher(normalized(weak)).float().softmax(-1)
            confidence, pseudo = probabilities.max(-1)
            mixed, targets = torch_mixup(
                normalized(strong), smoothed(pseudo), confidence
            )
            weights = WEIGHT * counts / UNLABELED
            if picks:
                rows = counts.nonzero()[:, 0]
                mixed, targets, weights = mixed[rows], targets[rows], weights[rows]
            inputs = torch.cat([normalized(labeled), mixed])
            targets = torch.cat([smoothed(classes), targets])
            weights = torch.cat([torch.full((LABELED,), 1 / LABELED), weights])
        with cast():
            logits = student(inputs)
        losses = -(targets * logits.float().log_softmax(-1)).sum(-1)
        loss = (weights * losses).sum()
        loss.backward()
        optimizer.step()
        optimizer.zero_grad()
        with torch.no_grad():
            torch._foreach_lerp_(averages, parameters, 1 - MOMENTUM)
        return float(loss.detach())

    def take(steps):
        for _ in range(steps):
            step()

    return take


# === Ways ===


def create_steps(way):
    """Returns a function that takes a number of steps in one way."""
    package, precision, *options = way.split()
    kept = kept_images(options)
    if package == "torch":
        return torch_steps(precision, kept, picks="half" in options)
    return our_steps(precision, "XLA" in options, kept)


def table(result):
    """Returns the result as Markdown."""
    operations = result["operations"]
    return each_machine(result, lambda rounds: machine_table(rounds, operations))


def machine_table(rounds, operations):
    """Returns what one machine took."""
    lines = [
        f"| Semi-ViT step on {LABELED} + {UNLABELED} images, ViT-S/16 | images/s "
        "| peak memory | share of the peak float32 matmul rate |",
        "|---|---|---|---|",
    ]
    for way, values in rounds.items():
        speed = statistics.median(values["images_per_second"])
        peak = statistics.median(values["peak_bytes"]) / 2**30
        counted = operations["half" if way.endswith("half") else "all"] / BATCH
        share = share_of_products(rounds, way, counted)
        lines.append(f"| {WAYS[way]} | {speed:.2f} | {peak:.1f} GB | {share:.2f} |")
    if "torch float32" in rounds:
        for title, ours, others in comparisons():
            ratio = best_ratio(rounds, ours, others, "images_per_second")
            lines.append(f"| {title} | {ratio:.2f} x | | |")
    return "\n".join(lines)


def comparisons():
    """Returns tuples of a title, our ways and PyTorch's."""
    found = []
    for precision in ("float32", "bfloat16"):
        ours = [f"ours {precision}", f"ours {precision} XLA"]
        others = [f"torch {precision}"]
        found.append((f"our best against PyTorch's best, {precision}", ours, others))
    half = [way for way in WAYS if way.startswith("ours") and way.endswith("half")]
    every = ["torch float32", "torch bfloat16"]
    found.append(("our best with half kept against PyTorch's best", half, every))
    ours, others = ["ours float32 half"], ["torch float32 half"]
    found.append(("both with half kept, float32", ours, others))
    return found


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
