"""Over which devices is a training step spread?"""

import os

import tensorflow as tf

STRATEGIES = ("none", "mirrored", "multi_worker", "tpu")


def create_strategy(name, logical_cpus=1, tpu=None):
    """Returns a `tf.distribute` strategy by name. Build models inside its `scope()`.

    Call it before TensorFlow has used a device.

    Args:
        name: `"none"`: one device. `"mirrored"`: all GPUs of this machine, or else its
            logical processors. `"tpu"`: a TPU. `"multi_worker"` is not offered yet.
        logical_cpus: Integer. Treat the processor as so many devices.
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
        _split_processor(logical_cpus)
    if name == "mirrored":
        return _mirrored(logical_cpus)
    if name == "multi_worker":
        _refuse_multi_worker()
    if name == "tpu":
        return _tpu(tpu)
    return tf.distribute.get_strategy()


def _split_processor(count):
    processor = tf.config.list_physical_devices("CPU")[0]
    devices = [tf.config.LogicalDeviceConfiguration()] * count
    try:
        tf.config.set_logical_device_configuration(processor, devices)
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


def _refuse_multi_worker():
    given = "set" if "TF_CONFIG" in os.environ else "not set"
    raise ValueError(
        "strategy=multi_worker is not offered by this version (TF_CONFIG is "
        f"{given}): use mirrored on one machine"
    )


def _tpu(name):
    try:
        resolver = tf.distribute.cluster_resolver.TPUClusterResolver(tpu=name or "")
        tf.config.experimental_connect_to_cluster(resolver)
        tf.tpu.experimental.initialize_tpu_system(resolver)
    except Exception as error:  # whatever the search for a TPU raises, none was found
        reason = str(error).strip().splitlines()
        raise ValueError(
            f"strategy=tpu found no TPU named {name!r}: {(reason or [error])[0]}"
        ) from error
    return tf.distribute.TPUStrategy(resolver)


def check_batch_size(flag, size, replicas, parts=1):
    """Refuses a global batch that the replicas, and their parts, cannot share."""
    if size % (replicas * parts):
        shares = f"{replicas} replicas" + (f" times {parts} parts" if parts > 1 else "")
        raise ValueError(
            f"--{flag} should be a multiple of the {shares}. Received: {size}"
        )
