"""Latents in place of images, where a generator is given an encoder and a decoder."""

import shutil

import numpy as np
import tensorflow as tf

from semivit_tf.checksum import digest_of
from semivit_tf.data.cached_moments import CachedMoments, cache_moments, shows_mirrors
from semivit_tf.diffusion.latents import PUBLISHED_SCALE, draw_latents
from semivit_tf.methods.load_latents import load_latents

_MEASURED = 256  # images, by whose latents the scale is judged
_FITTING = 0.5, 2.0  # deviations of latents that a generator can learn
_BATCH = 64


def latents_of(settings):
    """Returns the `Latents` of a generator's settings, None where it learns images."""
    if not settings.encoder:
        return None
    scale = settings.latent_scale or PUBLISHED_SCALE
    return load_latents(settings.encoder, settings.decoder, scale)


def check_images(latents, image_shape):
    """Refuses a decoder that would not give images like those of the run.

    Returns:
        The shape of their latents `(h, w, c)`.
    """
    wanted = latents.encoder.inputs[0].shape[1:]
    if any(w not in (None, own) for w, own in zip(wanted, image_shape, strict=True)):
        raise ValueError(
            f"--generator_encoder should take images of shape {tuple(image_shape)}. "
            f"Received: one for {tuple(wanted)}"
        )
    shape = latents.shape_of(image_shape)
    made = tuple(latents.decoder.compute_output_shape((1, *shape))[1:])
    if made != tuple(image_shape):
        raise ValueError(
            f"--generator_decoder should give images of shape {tuple(image_shape)} of "
            f"what --generator_encoder makes of them, {shape}. Received: {made}"
        )
    return shape


def moments_folder(run, stage):
    """Returns where moments are kept while the stage learns them: by their encoder."""
    name = digest_of(run.settings(stage).encoder)[:12]
    return run.stage_folder(stage).path / "moments" / name


def keep_moments(run, stage, latents):
    """Encodes all images of the stage, and their mirrors; goes on after what is there.

    Says whether the deviation of their latents is one that a generator can learn.
    """
    indices, settings = run.data.image_indices, run.settings(stage)
    labels = run.data.parts.train.labels[indices]

    def progress(done, count):
        run.say(f"{stage.name}: latents of {done} of {count} images")

    kept = cache_moments(
        moments_folder(run, stage),
        lambda first, last: run.data.as_evaluated(indices[first:last], _BATCH),
        labels,
        latents.moments,
        progress,
    )
    some = np.arange(min(len(labels), _MEASURED))
    drawn = draw_latents(kept.read(some, np.zeros_like(some)), 1.0, seed=0)
    deviation = max(float(np.std(drawn)), 1e-9)
    learned, flag = latents.scale * deviation, settings.flag("latent_scale")
    if not _FITTING[0] < learned < _FITTING[1]:
        run.say(
            f"{stage.name}: the deviation of latents, as they are learned, is "
            f"{learned:.2g}, and should be about 1. Try --{flag}={1 / deviation:.2g}"
        )


def forget_moments(run, stage):
    """Removes what only the training needed."""
    folder = run.stage_folder(stage).path / "moments"
    if folder.exists():
        shutil.rmtree(folder)


def stream_of_moments(run, stage, batch_size):
    """Returns the stream `(moments, labels)` that the stage learns, by step and shard.

    Images are mirrored where the run's augmentation does it.
    """
    mirrors = shows_mirrors(run.config.data.augmentation, run.data.image_size)

    def stream(step, shard=(0, 1)):
        labels = run.data.parts.train.labels[run.data.image_indices]
        kept = CachedMoments(moments_folder(run, stage), labels)
        seed = run.config.run.seed
        return kept.batches(batch_size, seed, step, shard, mirrors=mirrors)

    return stream


def specs_of_moments(shape, batch_size):
    """Returns what a batch is like, before there is one."""
    moments = tf.TensorSpec((batch_size, *shape[:2], 2 * shape[2]), tf.float32)
    return moments, tf.TensorSpec((batch_size,), tf.int32)


def encoded(latents, batches):
    """Returns batches of images as batches of moments; None for None."""
    if batches is None:
        return None
    rows = [(latents.moments(images), np.asarray(labels)) for images, labels in batches]
    moments, labels = (np.concatenate(part) for part in zip(*rows, strict=True))
    return tf.data.Dataset.from_tensor_slices((moments, labels)).batch(_BATCH)
