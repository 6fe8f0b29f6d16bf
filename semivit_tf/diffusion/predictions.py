"""What a network says about a noised image: its noise, or the velocity.

The letters are those of `schedules.py`: x_t = alpha x_0 + sigma noise.
"""


def noised(clean, noise, alpha, sigma):
    """Returns images with noise added: alpha x_0 + sigma noise."""
    return alpha * clean + sigma * noise


def clean_of_noise(images, noise, alpha, sigma):
    """Returns the image x_0 that a predicted noise implies."""
    return (images - sigma * noise) / alpha


def velocity(clean, noise, alpha, sigma):
    """Returns alpha noise - sigma x_0.

    Reference:
        Salimans and Ho, Progressive Distillation for Fast Sampling of Diffusion Models,
        2022.
    """
    return alpha * noise - sigma * clean


def noise_of_velocity(images, velocity, alpha, sigma):
    """Returns the noise that a predicted velocity implies."""
    return sigma * images + alpha * velocity


def _noise_itself(clean, noise, alpha, sigma):
    return noise


def _is_noise(images, noise, alpha, sigma):
    return noise


# For each prediction: what it should be, and how the noise follows from it.
PREDICTIONS = {
    "noise": (_noise_itself, _is_noise),
    "v": (velocity, noise_of_velocity),
}
