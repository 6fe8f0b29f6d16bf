"""Two logical devices for all tests; memory given back; what a run of tests costs."""

import functools
import gc
import os
import resource
import signal
import sys

# What a shell starts in the background ignores Ctrl-C, and so do its children.
signal.signal(signal.SIGINT, signal.default_int_handler)
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
# XLA's own passes are what can go wrong here; LLVM's, and writing kernels through MLIR,
# take half of a test's time.
os.environ.setdefault(
    "XLA_FLAGS",
    "--xla_backend_optimization_level=0 --xla_cpu_use_fusion_emitters=false "
    "--xla_cpu_parallel_codegen_split_count=1",
)

import pytest

from tests.memory import give_back

MOST_GIGABYTES = 3.0  # of a process that runs tests

# TensorFlow is imported where it is used: the process that directs others needs none.


@functools.cache
def make_two_devices():
    import tensorflow as tf

    tf.config.set_logical_device_configuration(
        tf.config.list_physical_devices("CPU")[0],
        [tf.config.LogicalDeviceConfiguration()] * 2,
    )


@pytest.hookimpl(tryfirst=True)
def pytest_make_collect_report(collector):
    """Makes two devices before the first file of tests is imported."""
    if isinstance(collector, pytest.File):
        make_two_devices()


@pytest.fixture(autouse=True)
def seeded():
    """Starts every test from the same random state."""
    import keras

    keras.utils.set_random_seed(0)


@pytest.fixture
def mirrored():
    """A strategy over the two logical devices."""
    import tensorflow as tf

    return tf.distribute.MirroredStrategy(
        ["CPU:0", "CPU:1"], cross_device_ops=tf.distribute.ReductionToOneDevice()
    )


@pytest.fixture(autouse=True, scope="module")
def memory_given_back():
    """Drops what the tests of a file have made."""
    yield
    give_back()


def pytest_collection_finish():
    """Spares the garbage collector the million objects that imports have made."""
    gc.freeze()


# === What a run costs ===

_workers = []


def cost():
    """Returns the CPU seconds and the most gigabytes of this process so far.

    The seconds include those of processes it has started and that have ended.
    """
    own = resource.getrusage(resource.RUSAGE_SELF)
    children = resource.getrusage(resource.RUSAGE_CHILDREN)
    seconds = own.ru_utime + own.ru_stime + children.ru_utime + children.ru_stime
    unit = 1 if sys.platform == "darwin" else 1024
    return seconds, own.ru_maxrss * unit / 1e9


@pytest.hookimpl(optionalhook=True)
def pytest_testnodedown(node):
    """Collects, in the process that directs the others, what one of them cost."""
    if hasattr(node, "workeroutput"):  # one that crashed fails the run by itself
        _workers.append(node.workeroutput["cost"])


def pytest_sessionfinish(session):
    """Tells the process that directs the others what this one cost."""
    if hasattr(session.config, "workeroutput"):
        session.config.workeroutput["cost"] = cost()


def pytest_terminal_summary(terminalreporter):
    """Says what the run has cost."""
    costs = _workers or [cost()]
    minutes = sum(seconds for seconds, _ in costs) / 60
    most = max(gigabytes for _, gigabytes in costs)
    terminalreporter.write_line(
        f"{minutes:.1f} CPU minutes; most memory of a worker: {most:.1f} GB "
        f"(wanted: at most {MOST_GIGABYTES:g} GB)"
    )
