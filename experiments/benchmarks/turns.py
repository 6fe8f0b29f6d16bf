"""Times training steps of two packages, each way in a process of its own, in turns.

A benchmark says what its ways are and calls `main`. Processes run one after the other,
in rounds, on all processors; ratios are taken inside rounds. Images a second mean
something on an idle machine only: under load, PyTorch's threads wait for each other
much longer than TensorFlow's. Processor seconds an image, of all threads together,
change less: what waits does not count, because PyTorch's threads are told to sleep
meanwhile. The share of the processors that other processes used is written with both.
Which package is faster depends on the processor, too: what was measured on others is
kept, under their names.
"""

import argparse
import json
import math
import os
import pathlib
import resource
import statistics
import subprocess
import sys
import time
from importlib.metadata import version

import numpy as np

ROOT = pathlib.Path(__file__).resolve().parents[2]
PRODUCT_SIDE, PRODUCT_SECONDS = 2048, 1.0
SECONDS, ROUNDS = 10.0, 5
# What products of matrices are made of, the newest first.
INSTRUCTIONS = "amx_bf16", "amx_tile", "avx512_bf16", "avx512f", "avx2", "avx"


def processor_name():
    """Returns how many processors of which kind there are (Linux, x86)."""
    text = pathlib.Path("/proc/cpuinfo").read_text()
    pairs = (line.partition(":") for line in text.splitlines() if ":" in line)
    about = {name.strip(): value.strip() for name, _, value in pairs}
    known = about.get("flags", "").split()
    widest = [name for name in INSTRUCTIONS if name in known][:2]
    return (
        f"{os.cpu_count()} x {about.get('model name')}, "
        f"family {about.get('cpu family')}, model {about.get('model')}, "
        f"{', '.join(widest)}"
    )


def random_images(*shape):
    """Returns bytes."""
    return np.random.default_rng(0).integers(0, 256, shape, "uint8")


def busy_seconds():
    """Returns what all processes of this machine have used (Linux)."""
    user, nice, system = open("/proc/stat").readline().split()[1:4]
    return (int(user) + int(nice) + int(system)) / os.sysconf("SC_CLK_TCK")


def work(take, images, seconds):
    """Returns what steps cost.

    Args:
        take: Function that takes a number of steps.
        images: Integer. Images of a step.
        seconds: Float. How long to take steps at least.
    """
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
        "images_per_second": images * steps / passed,
        "processor_seconds_per_image": processor / (images * steps),
        "peak_bytes": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024,
        "others": max(0.0, others / passed / os.cpu_count()),
    }


def steps_of_fit(model, batch):
    """Returns a function that takes a number of steps of a compiled method, as `fit`.

    Args:
        model: A method, with all that its step needs.
        batch: What the step gets, each time.
    """
    import tensorflow as tf

    model.make_train_function()
    # On one iterator: to end one takes tf.data seconds.
    iterator = iter(tf.data.Dataset.from_tensors(batch).repeat())

    def take(steps):
        for _ in range(steps):
            logs = model.train_function(iterator)
        return float(logs["loss"])

    return take


def operations_per_second(multiply):
    """Returns how fast a package multiplies large matrices.

    Args:
        multiply: Function that multiplies two float32 matrices of `PRODUCT_SIDE`.
    """
    multiply()
    start, times = time.perf_counter(), []
    while time.perf_counter() - start < PRODUCT_SECONDS:
        begun = time.perf_counter()
        multiply()
        times.append(time.perf_counter() - begun)
    return 2 * PRODUCT_SIDE**3 / min(times)


def our_product():
    """Returns a function that multiplies two large matrices in TensorFlow."""
    import tensorflow as tf

    matrix = tf.random.uniform((PRODUCT_SIDE, PRODUCT_SIDE))
    return tf.function(lambda: tf.reduce_sum((matrix @ matrix)[0]))


def torch_product():
    """Returns a function that multiplies two large matrices in PyTorch."""
    import torch

    matrix = torch.rand(PRODUCT_SIDE, PRODUCT_SIDE)
    return lambda: matrix @ matrix


PRODUCTS = {"ours": our_product, "torch": torch_product}


def product_operations(graph):
    """Counts the floating point operations of the matrix products of a graph.

    Convolutions count, too.
    """
    count = 0
    for operation in graph.get_operations():
        if operation.type in ("Einsum", "DepthwiseConv2dNative"):
            raise NotImplementedError(f"{operation.type} is not counted")
        if operation.type in ("MatMul", "BatchMatMulV2"):
            flag = "transpose_a" if operation.type == "MatMul" else "adj_x"
            summed = operation.inputs[0].shape[-2 if operation.get_attr(flag) else -1]
            count += 2 * operation.outputs[0].shape.num_elements() * summed
        if operation.type in _CONVOLUTIONS:
            answer, kernel = _CONVOLUTIONS[operation.type](operation)
            *sides, channels, _ = kernel.shape
            products = answer.shape.num_elements() * channels * math.prod(sides)
            count += 2 * products
    return count


# Of each, the tensor with the shape of its answers, and the one with its kernel's.
_CONVOLUTIONS = {
    "Conv2D": lambda one: (one.outputs[0], one.inputs[1]),
    "Conv2DBackpropInput": lambda one: (one.inputs[2], one.inputs[1]),
    "Conv2DBackpropFilter": lambda one: (one.inputs[2], one.outputs[0]),
}


# === Processes ===


def ask(script, python, *arguments):
    """Runs a benchmark in a process of its own; returns its answer."""
    # Threads of OpenMP that wait must not use processors that others could.
    environment = {**os.environ, "OMP_WAIT_POLICY": "passive"}
    command = [python, script, *arguments]
    answer = subprocess.run(
        command, check=True, stdout=subprocess.PIPE, env=environment
    )
    return json.loads(answer.stdout.splitlines()[-1])


def measure_all(script, ways, pythons, seconds, rounds, *arguments):
    """Steps in all ways in turn; returns lists with an entry for each round.

    Args:
        script: Path of the benchmark.
        ways: List of names; those that `pythons` does not have the first word of are
            left out.
        pythons: Dict of the first word of a way to the Python for it.
        seconds: Float. Of each turn.
        rounds: Integer.
        *arguments: Further options of the benchmark.
    """
    ways = [way for way in ways if way.split()[0] in pythons]
    found = {way: [] for way in ways}
    for number in range(rounds):
        # Every other round goes backwards: what changes slowly meets all alike.
        for way in ways if number % 2 == 0 else ways[::-1]:
            options = f"--way={way}", f"--seconds={seconds}", *arguments
            answer = ask(script, pythons[way.split()[0]], *options)
            found[way].append(answer)
            print(way, answer, file=sys.stderr, flush=True)
    return {
        way: {key: [answer[key] for answer in answers] for key in answers[0]}
        for way, answers in found.items()
    }


def best_ratio(rounds, ours, others, key):
    """Returns how many times the others' best our best is: the median over rounds.

    Args:
        rounds: What `measure_all` returned.
        ours: List of names of ways.
        others: List of names of ways.
        key: What is compared: what is used counts the other way round.
    """
    used = key != "images_per_second"
    best = min if used else max
    ratios = []
    for number in range(len(rounds[ours[0]][key])):
        one, other = (
            best(rounds[way][key][number] for way in ways) for ways in (ours, others)
        )
        ratios.append(other / one if used else one / other)
    return statistics.median(ratios)


def share_of_products(rounds, way, operations):
    """Returns a way's share of the fastest product of large float32 matrices.

    Args:
        rounds: What `measure_all` returned.
        way: String.
        operations: Float. What matrix products need, for an image.
    """
    reached = operations * statistics.median(rounds[way]["images_per_second"])
    fastest = max(
        statistics.median(values["operations_per_second"]) for values in rounds.values()
    )
    return reached / fastest


def each_machine(result, table):
    """Returns the tables of all machines as Markdown.

    Args:
        result: What `main` wrote.
        table: Function from `rounds` to Markdown.
    """
    tables = []
    for name, machine in result["machines"].items():
        rounds = machine["rounds"]
        count = len(next(iter(rounds.values()))["images_per_second"])
        tables.append(f"{name}; medians of {count} rounds:\n\n{table(rounds)}")
    return "\n\n".join(tables)


# === The command ===


def main(
    script, result_file, ways, images, create_steps, count_operations, table, summary
):
    """Measures all ways, writes the result and prints the table made from it.

    Args:
        script: Path of the benchmark.
        result_file: Path of the JSON to write.
        ways: Dict of a way's name, that begins with `ours` or `torch`, to its title.
        images: Integer. Images of a step.
        create_steps: Function from a way to a function that takes a number of steps.
        count_operations: Function that returns the operations of the matrix products
            of a step, or a dict of such.
        table: Function from the result to Markdown.
        summary: String. What the command does.
    """
    path = pathlib.Path(script).resolve()
    parser = argparse.ArgumentParser(description=summary)
    parser.add_argument("--torch_python", help="a Python that has torch and timm")
    parser.add_argument("--table", action="store_true", help="print the table only")
    parser.add_argument("--seconds", type=float, default=SECONDS, help="of each turn")
    parser.add_argument("--rounds", type=int, default=ROUNDS)
    parser.add_argument("--way", help=argparse.SUPPRESS)
    parser.add_argument("--operations", action="store_true", help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.way:
        found = work(create_steps(arguments.way), images, arguments.seconds)
        multiply = PRODUCTS[arguments.way.split()[0]]()
        found["operations_per_second"] = operations_per_second(multiply)
        found["versions"] = versions(arguments.way.split()[0])
        print(json.dumps(found))
        return
    if arguments.operations:
        print(json.dumps(count_operations()))
        return
    if not arguments.table:
        pythons = {"ours": sys.executable}
        if arguments.torch_python:
            pythons["torch"] = arguments.torch_python
        seconds, rounds = arguments.seconds, arguments.rounds
        found = measure_all(path, ways, pythons, seconds, rounds)
        used = {}
        for values in found.values():
            used.update(values.pop("versions")[0])
        known = json.loads(result_file.read_text()) if result_file.exists() else {}
        machines = known.get("machines", {})
        machines.pop(processor_name(), None)
        machine = {"seconds": seconds, "rounds": found, "versions": used}
        result = {
            "command": command_of(path, ways, arguments),
            "operations": ask(path, sys.executable, "--operations"),
            "machines": {processor_name(): machine, **machines},
        }
        result_file.parent.mkdir(parents=True, exist_ok=True)
        result_file.write_text(json.dumps(result, indent=2) + "\n")
    print(table(json.loads(result_file.read_text())))


def command_of(path, ways, arguments):
    """Returns the command that measures the same again."""
    words = ["python", str(path.relative_to(ROOT))]
    if any(way.startswith("torch") for way in ways):
        words.append("--torch_python=PATH")
    if arguments.seconds != SECONDS:
        words.append(f"--seconds={arguments.seconds:g}")
    if arguments.rounds != ROUNDS:
        words.append(f"--rounds={arguments.rounds}")
    return " ".join(words)


def versions(package):
    """Returns the versions of what a way of one package uses."""
    names = {"ours": ("tensorflow", "keras", "numpy"), "torch": ("torch", "timm")}
    return {name: version(name) for name in names[package]}
