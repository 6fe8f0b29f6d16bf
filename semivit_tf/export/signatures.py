"""The signatures of the served model."""

import tensorflow as tf

from semivit_tf.augment.central_view import central_view
from semivit_tf.augment.image_header import MAX_PIXELS
from semivit_tf.export.calibration import Calibration
from semivit_tf.export.features import features_and_logits
from semivit_tf.export.loading import file_loader, load_all, load_readable


class ServedClassifier(tf.Module):
    """A network behind signatures that take pixels or the bytes of image files.

    Args:
        network: Built model from images `[B, H, W, C]` to logits `[B, K]`.
        image_shape: Tuple `(H, W, C)`.
        class_names: Sequence of K strings.
        top_k: Integer. How many of the most probable classes are listed.
        central_share: Float. Which part of an image of another size is seen, see
            `central_view`.
        max_pixels: Integer. An image file of more pixels is an error of its request.
        tolerate_bad_images: Bool. Whether an image that cannot be answered gets
            `valid` False and neutral answers, instead of failing the request.
        calibration: Optional `Calibration`.
        features: Bool. Whether there is the signature `features`.
    """

    def __init__(
        self,
        network,
        image_shape,
        class_names,
        top_k=5,
        central_share=1.0,
        max_pixels=MAX_PIXELS,
        tolerate_bad_images=False,
        calibration=None,
        features=False,
    ):
        super().__init__(name="served_classifier")
        self._state = [variable.value for variable in network.variables]
        self._image_shape = tuple(image_shape)
        self._names = tf.constant([name.encode() for name in class_names])
        self._central_share = central_share
        self._max_pixels = max_pixels
        self._top_k = min(top_k, len(class_names))
        self._tolerant = tolerate_bad_images
        self._calibration = calibration or Calibration()
        self._features = features
        # All signatures call one function: a large network is traced and saved once. As
        # attributes, the function and the network would be saved by themselves, too.
        self._see = tf.function(
            lambda images: features_and_logits(network, images),
            input_signature=[tf.TensorSpec((None, *self._image_shape), tf.float32)],
            autograph=False,
        ).__call__

    def answers(self, images):
        """Returns what is served for images `[B, H, W, C]` in [0, 255]."""
        _, logits = self._see(images)
        probabilities = self._calibration.probabilities(logits)
        top, classes = tf.math.top_k(probabilities, self._top_k)
        names = tf.gather(self._names, classes)
        return {
            "probabilities": probabilities,
            "class_index": classes[:, 0],
            "class_name": names[:, 0],
            "top_probabilities": top,
            "top_class_indices": classes,
            "top_class_names": names,
            **self._calibration.outputs(probabilities),
        }

    def fitted(self, images):
        """Returns images `[B, *, *, C]` in the network's size, as floats.

        A served graph is not checked against the shapes that its signature declares,
        and TensorFlow removes checks that these make superfluous. Height and width are
        therefore not declared, so `ensure_shape` stays and sees what arrived.
        """
        height, width, _ = self._image_shape
        fits = tf.reduce_all(tf.equal(tf.shape(images)[1:3], (height, width)))
        images = tf.cond(
            fits,
            lambda: tf.cast(images, tf.float32),
            lambda: central_view(images, (height, width), self._central_share),
        )
        return tf.ensure_shape(images, (None, *self._image_shape))

    def answers_to_pixels(self, images):
        """Returns what is served for images `[B, *, *, C]` in [0, 255]."""
        images = self.fitted(images)
        if not self._tolerant:
            return self.answers(images)
        valid = tf.reduce_all(tf.math.is_finite(images), axis=(1, 2, 3))
        images = tf.where(valid[:, None, None, None], images, 0.0)
        return self.neutral_where_bad(self.answers(images), valid)

    def answers_to_bytes(self, image_bytes):
        """Returns what is served for the contents of JPEG, PNG, BMP or GIF files."""
        load = file_loader(self._image_shape, self._central_share, self._max_pixels)
        if not self._tolerant:
            return self.answers(load_all(load, image_bytes, self._image_shape))
        images, valid = load_readable(load, image_bytes, self._image_shape)
        return self.neutral_where_bad(self.answers(images), valid)

    def described(self, images):
        """Returns what drift is seen by, for images `[B, *, *, C]` in [0, 255]."""
        images = self.fitted(images)
        features, logits = self._see(images)
        probabilities = self._calibration.probabilities(logits)
        return {
            "features": features,
            "confidence": tf.reduce_max(probabilities, axis=1),
        }

    def neutral_where_bad(self, answers, valid):
        """Adds `valid` `[B]` to answers, and takes back those of images that are not.

        Their probabilities are uniform, their classes -1 and without a name, their sets
        of classes empty, and from all of them the model abstains.
        """
        neutral = {
            tf.float32: 1.0 / len(self._names),
            tf.int32: -1,
            tf.string: "",
            tf.bool: False,
        }
        given = {
            name: tf.where(
                valid if answer.shape.rank == 1 else valid[:, None],
                answer,
                tf.constant(neutral[answer.dtype], answer.dtype),
            )
            for name, answer in answers.items()
        }
        if "abstain" in given:
            given["abstain"] |= ~valid
        return {**given, "valid": valid}

    def signatures(self):
        """Returns the signatures by name."""
        pixels = [None, None, None, self._image_shape[-1]]
        floats = tf.TensorSpec(pixels, tf.float32, name="images")
        integers = tf.TensorSpec(pixels, tf.uint8, name="images")
        contents = tf.TensorSpec([None], tf.string, name="image_bytes")
        # AutoGraph takes seconds to find nothing to convert in these.
        of_pixels = tf.function(self.answers_to_pixels, autograph=False)
        of_bytes = tf.function(self.answers_to_bytes, autograph=False)
        described = tf.function(self.described, autograph=False)
        further = (
            {"features": described.get_concrete_function(floats)}
            if self._features
            else {}
        )
        return {
            **further,
            "serving_default": of_pixels.get_concrete_function(floats),
            "serving_uint8": of_pixels.get_concrete_function(integers),
            "serving_bytes": of_bytes.get_concrete_function(contents),
        }
