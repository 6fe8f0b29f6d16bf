"""The signatures of the served model."""

import tensorflow as tf

from semivit_tf.augment.central_view import central_view
from semivit_tf.augment.decoding import decode
from semivit_tf.augment.grey import to_grey
from semivit_tf.augment.image_header import MAX_PIXELS


class ServedClassifier(tf.Module):
    """A network behind signatures that take pixels or the bytes of image files.

    Args:
        network: Built model from images `[B, H, W, C]` to logits `[B, K]`.
        image_shape: Tuple `(H, W, C)`.
        class_names: Sequence of K strings.
        top_k: Integer. How many of the most probable classes are listed.
        central_share: Float. Which part of a decoded image is seen, see
            `central_view`.
        max_pixels: Integer. An image file of more pixels is an error of its request.
    """

    def __init__(
        self,
        network,
        image_shape,
        class_names,
        top_k=5,
        central_share=1.0,
        max_pixels=MAX_PIXELS,
    ):
        super().__init__(name="served_classifier")
        self._network = network
        self._state = [variable.value for variable in network.variables]
        self._image_shape = tuple(image_shape)
        self._names = tf.constant([name.encode() for name in class_names])
        self._central_share = central_share
        self._max_pixels = max_pixels
        self._top_k = min(top_k, len(class_names))

    def answers(self, images):
        """Returns what is served for images `[B, H, W, C]` in [0, 255]."""
        logits = tf.cast(self._network(images, training=False), tf.float32)
        probabilities = tf.nn.softmax(logits)
        top, classes = tf.math.top_k(probabilities, self._top_k)
        names = tf.gather(self._names, classes)
        return {
            "probabilities": probabilities,
            "class_index": classes[:, 0],
            "class_name": names[:, 0],
            "top_probabilities": top,
            "top_class_indices": classes,
            "top_class_names": names,
        }

    def answers_to_bytes(self, image_bytes):
        """Returns what is served for the contents of JPEG, PNG, BMP or GIF files."""
        height, width, channels = self._image_shape

        def load(contents):
            # Decoded in colour, as TensorFlow cannot decode every format to grey.
            image = decode(contents, self._max_pixels)
            image = central_view(image, (height, width), self._central_share)
            return to_grey(image[None])[0] if channels == 1 else image

        spec = tf.TensorSpec(self._image_shape, tf.float32)
        return self.answers(tf.map_fn(load, image_bytes, fn_output_signature=spec))

    def signatures(self):
        """Returns the signatures by name."""
        pixels = [None, *self._image_shape]
        floats = tf.TensorSpec(pixels, tf.float32, name="images")
        integers = tf.TensorSpec(pixels, tf.uint8, name="images")
        contents = tf.TensorSpec([None], tf.string, name="image_bytes")
        answer = tf.function(self.answers)
        return {
            "serving_default": answer.get_concrete_function(floats),
            "serving_uint8": answer.get_concrete_function(integers),
            "serving_bytes": tf.function(self.answers_to_bytes).get_concrete_function(
                contents
            ),
        }
