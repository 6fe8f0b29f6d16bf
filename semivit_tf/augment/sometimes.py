"""An operation that is applied to some of the images."""

from semivit_tf.augment.randomness import derive, uniforms


class Sometimes:
    """Applies an operation to a share of the images.

    Args:
        probability: Float. The share.
        operation: Function of an image and a key that returns the image changed.
    """

    def __init__(self, probability, operation):
        self.probability = probability
        self.operation = operation

    def __call__(self, image, key):
        if uniforms(key, 1)[0] >= self.probability:
            return image
        return self.operation(image, derive(key, 1))
