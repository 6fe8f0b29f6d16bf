"""The devices that a training step is spread over."""

import json
import os
import zlib

import tensorflow as tf

STRATEGIES = ("none", "mirrored", "multi_worker", "tpu")
# Raised in the other workers when one of them has ended.
WORKER_ENDED = (tf.errors.UnavailableError, tf.errors.AbortedError)


def create_strategy(name, logical_cpus=1, tpu=None):
    """Returns a `tf.distribute` strategy by name. Build models inside its `scope()`.

    Call it before TensorFlow has used a device.

    Args:
        name: `"none"`: one device. `"mirrored"`: all GPUs of this machine, or else its
            logical CPUs. `"tpu"`: a TPU. `"multi_worker"`: the CPUs or GPUs of all
            machines that the variable TF_CONFIG names.
        logical_cpus: Integer. Number of logical CPU devices.
        tpu: Optional name of the TPU.
    """
    if name not in STRATEGIES:
        raise ValueError(
            f"`strategy` should be one of: {', '.join(STRATEGIES)}. Received: {name!r}"
        )
    if logical_cpus > 1:
        if name != "mirrored":
            raise ValueError(
                f"logical_cpus={logical_cpus} needs strategy=mirrored. Received: {name}"
            )
        _split_cpu(logical_cpus)
    if name == "mirrored":
        return _mirrored(logical_cpus)
    if name == "multi_worker":
        return _multi_worker()
    if name == "tpu":
        return _tpu(tpu)
    return tf.distribute.get_strategy()


def _split_cpu(count):
    cpu = tf.config.list_physical_devices("CPU")[0]
    devices = [tf.config.LogicalDeviceConfiguration()] * count
    try:
        tf.config.set_logical_device_configuration(cpu, devices)
    except RuntimeError as error:
        raise ValueError(
            f"logical_cpus={count} should be asked for before TensorFlow is used"
        ) from error


def _mirrored(logical_cpus):
    if tf.config.list_physical_devices("GPU") and logical_cpus == 1:
        return tf.distribute.MirroredStrategy()
    return tf.distribute.MirroredStrategy(
        [f"CPU:{number}" for number in range(logical_cpus)],
        cross_device_ops=tf.distribute.ReductionToOneDevice(),
    )


def _multi_worker():
    if "TF_CONFIG" not in os.environ:
        raise ValueError(
            "strategy=multi_worker should be given on every machine together with the "
            "variable TF_CONFIG, which names the machines. Received: no TF_CONFIG"
        )
    try:
        _check_workers(json.loads(os.environ["TF_CONFIG"]))
        return tf.distribute.MultiWorkerMirroredStrategy()
    except (ValueError, RuntimeError, tf.errors.OpError) as error:
        raise ValueError(
            f"TF_CONFIG cannot be used: {' '.join(str(error).split())}"
        ) from error


def _check_workers(config):
    """Refuses a TF_CONFIG without the machines, or without the place of this one."""
    cluster = config.get("cluster") if isinstance(config, dict) else None
    if not isinstance(cluster, dict) or not cluster:
        raise ValueError('it should hold {"cluster": {"worker": ["host:port", ...]}}')
    for kind, addresses in cluster.items():
        named = isinstance(addresses, list) and all(
            isinstance(address, str) for address in addresses
        )
        if not named:
            raise ValueError(f"its {kind} should be a list of host:port")
    task = config.get("task")
    if not isinstance(task, dict) or not {"type", "index"} <= set(task):
        raise ValueError('it should hold {"task": {"type": "worker", "index": 0}}')


def workers(strategy):
    """Returns the number of this process among the workers, and how many there are."""
    resolver = strategy.cluster_resolver
    if not isinstance(strategy, tf.distribute.MultiWorkerMirroredStrategy):
        return 0, 1
    spec = resolver.cluster_spec().as_dict()
    chiefs = len(spec.get("chief", []))
    first = chiefs if resolver.task_type == "worker" else 0
    return first + (resolver.task_id or 0), chiefs + len(spec.get("worker", []))


def meet(strategy, text=""):
    """Waits for all workers; returns whether all of them passed the same text."""
    if workers(strategy)[1] == 1:
        return True
    number = tf.constant(zlib.crc32(text.encode()), tf.float64)
    total = _sum_over_replicas(strategy, number)
    return float(total) == float(number) * strategy.num_replicas_in_sync


@tf.function
def _sum_over_replicas(strategy, number):
    """Adds up the number that each replica was given; traced once for a strategy."""
    here = strategy.run(tf.identity, args=(number,))
    return strategy.reduce("SUM", here, axis=None)


def distributed(strategy, stream, step):
    """Returns the batches of a stream from a step on, split over the replicas.

    The size of each share is static here; `experimental_distribute_dataset` loses it.

    Args:
        strategy: `tf.distribute.Strategy`.
        stream: Function from a start step, and a shard, to a data set.
        step: Integer.
    """
    if strategy.num_replicas_in_sync == 1:
        return stream(step)
    number, count = workers(strategy)
    local = strategy.num_replicas_in_sync // count

    def split(*batch):
        return tf.nest.map_structure(
            lambda x: tf.reshape(x, (local, x.shape[0] // local, *x.shape[1:])), batch
        )

    def of_replicas(context):
        batches = stream(step) if count == 1 else stream(step, (number, count))
        return batches if local == 1 else batches.map(split).unbatch()

    return strategy.distribute_datasets_from_function(of_replicas)


def _tpu(name):
    called = f"named {name!r}" if name else "(--tpu names it)"
    try:
        resolver = tf.distribute.cluster_resolver.TPUClusterResolver(tpu=name or "")
        tf.config.experimental_connect_to_cluster(resolver)
        tf.tpu.experimental.initialize_tpu_system(resolver)
    except Exception as error:  # the resolver has many ways to say that there is none
        reason = str(error).strip().splitlines()
        raise ValueError(
            f"strategy=tpu found no TPU {called}: {(reason or [error])[0]}"
        ) from error
    return tf.distribute.TPUStrategy(resolver)


def check_batch_size(flag, size, replicas, parts=1):
    """Refuses a global batch that replicas and their micro-batches cannot share."""
    if size % (replicas * parts):
        shares = f"{replicas} replicas"
        if parts > 1:
            shares += f" times {parts} micro-batches"
        raise ValueError(
            f"--{flag} should be a multiple of the {shares}. Received: {size}"
        )
