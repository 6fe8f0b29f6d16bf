"""What all mixings are: functions whose settings are dataclass fields."""

import dataclasses


class Mixing:
    """A function of unlabelled images and what is known of them.

    Subclasses are frozen dataclasses, which Keras saves by their fields.
    """

    def __call__(self, images, targets, confidence, weight, seed=None):
        """Returns the images, targets and weights that the student learns from.

        Args:
            images: Float tensor `[U, H, W, C]`, the strong views.
            targets: Float tensor `[U, K]`.
            confidence: Float tensor `[U]`, the largest probabilities of the labels.
            weight: Float tensor `[U]` in [0, 1]: how much each image counts.
            seed: Optional integer or `keras.random.SeedGenerator`.
        """
        raise NotImplementedError

    def get_config(self):
        return dataclasses.asdict(self)

    @classmethod
    def from_config(cls, config):
        return cls(**config)
