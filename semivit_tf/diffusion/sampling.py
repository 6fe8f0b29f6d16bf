"""Images of given classes, from a trained denoiser."""

from collections.abc import Callable

import keras
import numpy as np

from semivit_tf.diffusion.guidance import guided
from semivit_tf.diffusion.solvers import solve


def sample(
    denoiser: keras.Model,
    labels: np.ndarray,
    steps: int = 20,
    guidance: float = 0.4,
    seed: int = 0,
    *,
    solver: str = "dpm_solver_pp_2m",
    end: float = 1e-3,
    batch_size: int = 64,
    first: int = 0,
    decode: Callable | None = None,
) -> np.ndarray:
    """Generates one image for each label.

    All batches have the same shape, so the network is compiled once. Each image has
    random numbers of its own, from `seed` and its position: it does not depend on what
    else is in its batch, but for rounding.

    Args:
        denoiser: `Denoiser`.
        labels: Integer array `[B]`; or, without classes, the number of images.
        steps: See `solve`.
        guidance: Float. How far images are pushed towards their class; see `guided`.
            Without classes it is not used.
        seed: Integer.
        solver: See `solve`; so is the next.
        end: Float.
        batch_size: Integer. Most images that go through the network at once; with
            guidance each is two rows.
        first: Integer. Position of the first image, where these go on from others.
        decode: Function from latents `[B, h, w, c]` to images, uint8 `[B, H, W, C]`,
            such as `latents.decode` of `Latents`. Needed where latents were learned.

    Returns:
        Array `[B, H, W, C]` of uint8.
    """
    labels, guidance = _checked(denoiser, labels, guidance)
    if (decode is None) != (getattr(denoiser, "latent_scale", None) is None):
        raise ValueError(
            "`decode` should be given where the denoiser has learned latents, and only "
            f"there. Received: decode={decode}"
        )
    rows = min(batch_size, len(labels))
    shape, no_class = tuple(denoiser.image_shape), denoiser.num_classes
    images = []
    for start in range(0, len(labels), batch_size):
        count = min(rows, len(labels) - start)
        chosen = np.resize(labels[start : start + count], rows)
        # What fills up the last batch is computed and left out.
        places = range(first + start, first + start + rows)
        draw = normal_numbers(seed, places, shape)
        predict_noise = guided(_prediction(denoiser), chosen, guidance, no_class)
        options = {"solver": solver, "steps": steps, "end": end, "draw": draw}
        result = solve(predict_noise, draw(), denoiser.schedule, **options)
        images.append((decode or as_pixels)(np.asarray(result)[:count]))
    return np.concatenate(images)


def normal_numbers(seed, places, shape):
    """Returns a function to the next float32 normal numbers of each image.

    Args:
        seed: Integer.
        places: Integers `[B]`. Each has a stream of its own.
        shape: The shape of an image.
    """
    streams = [np.random.default_rng([seed, place]) for place in places]
    return lambda: np.stack([s.standard_normal(shape, "float32") for s in streams])


def as_pixels(images):
    """Returns images of [-1, 1] as uint8; what is outside is cut off."""
    if not np.isfinite(images).all():
        raise ValueError(
            "The denoiser should predict finite numbers. Received: NaN or infinity"
        )
    return np.clip(np.rint(images * 127.5 + 127.5), 0, 255).astype("uint8")


def _prediction(denoiser):
    """Returns a function that asks the denoiser's compiled step."""

    def predict(images, t, labels):
        times = np.full(len(images), t, "float32")
        # On several replicas, each would answer for all rows.
        return denoiser.predict_on_batch((images, times, labels))[: len(images)]

    return predict


def _checked(denoiser, labels, guidance):
    classes = denoiser.num_classes
    if classes is None:
        if np.ndim(labels):
            raise ValueError(
                "`labels` should be a number of images: the denoiser has no classes. "
                f"Received: labels of shape {np.shape(labels)}"
            )
        labels, guidance = np.zeros(labels), 0.0
    labels = np.asarray(labels)
    wrong = labels[(labels < 0) | (labels >= (classes or 1))]
    if labels.ndim != 1 or not labels.size or wrong.size:
        raise ValueError(
            f"`labels` should be class numbers of 0 to {(classes or 1) - 1}, at least "
            f"one. Received: labels={labels}"
        )
    if guidance and not denoiser.knows_no_class:
        raise ValueError(
            "`guidance` should be 0, because the denoiser learned without label "
            f"dropout. Received: guidance={guidance}"
        )
    return labels.astype("int32"), guidance
