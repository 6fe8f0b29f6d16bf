"""Supervised learning: a backbone, a linear head, and labelled images."""

import keras
from keras import ops

from semivit_tf.augment.mixing import labeled_mix
from semivit_tf.contracts import HasImageShape, HasInputs
from semivit_tf.losses.cross_entropy import (
    label_distributions,
    smoothed_one_hot,
    soft_target_cross_entropy,
)
from semivit_tf.losses.streams import mean_over_streams
from semivit_tf.methods.labeled import LabeledMethod


def find_image_shape(backbone, image_shape=None):
    """Returns the `(H, W, C)` of a backbone's input: the one given, or its own."""
    if image_shape is None and isinstance(backbone, HasImageShape):
        image_shape = backbone.image_shape
    if image_shape is None and backbone.built and isinstance(backbone, HasInputs):
        image_shape = backbone.inputs[0].shape[1:]
    if image_shape is None or None in tuple(image_shape):
        raise ValueError(
            "`image_shape` should be given as (height, width, channels), because the "
            f"backbone does not state it. Received: image_shape={image_shape}"
        )
    return tuple(image_shape)


def build_features(backbone, image_shape):
    """Builds a backbone that is not built yet; returns the spec of its features.

    In this order: once it was called, Keras refuses the weights that a `build` of its
    own would add.

    Args:
        backbone: `keras.Model` from images to features.
        image_shape: Tuple `(H, W, C)`.
    """
    if not backbone.built:
        backbone.build((None, *image_shape))
    images = keras.KerasTensor((1, *image_shape), "float32")
    return backbone.compute_output_spec(images)


def first_kernel():
    """Returns the initializer of a head.

    A head near zero sends the backbone small gradients in the first steps.
    """
    return keras.initializers.RandomNormal(stddev=2e-5)


@keras.saving.register_keras_serializable(package="semivit_tf")
class Classifier(LabeledMethod):
    """Class scores from any model that maps images to features.

    Batches are `(images [B, H, W, C], labels)`, or with weights `[B]` as a third.
    Labels are class numbers `[B]` or distributions `[B, K]`. Targets are smoothed, and
    mixed where an alpha is positive. `compile(loss=...)` takes any loss on target
    distributions `[B, K]` and logits; the default is their cross-entropy.

    Args:
        backbone: `keras.Model` from images `[B, H, W, C]` to features `[B, D]`.
        num_classes: Integer K.
        label_smoothing: Float in [0, 1).
        mixup_alpha: Float. Mixup ratios come from Beta(alpha, alpha); 0: no mixup.
        cutmix_alpha: Float. The same for cutmix.
        image_shape: Optional `(H, W, C)`, where the backbone does not state it.
        seed: Optional integer for the mixing.
    """

    streams: tuple[str, ...] = ()  # the names of those that are tested by themselves

    def __init__(
        self,
        backbone: keras.Model,
        num_classes: int,
        *,
        label_smoothing: float = 0.1,
        mixup_alpha: float = 0.0,
        cutmix_alpha: float = 0.0,
        image_shape: tuple[int, int, int] | None = None,
        seed: int | None = None,
        **kwargs,
    ):
        kwargs.setdefault("name", "classifier")
        super().__init__(**kwargs)
        if num_classes is None or num_classes < 2:
            raise ValueError(
                f"`num_classes` should be at least 2. Received: {num_classes}"
            )
        self.backbone = backbone
        self.num_classes = num_classes
        self.learn_with(label_smoothing, mixup_alpha, cutmix_alpha)
        self.image_shape = find_image_shape(backbone, image_shape)
        self.seed = seed
        self.seed_generator = keras.random.SeedGenerator(seed)
        self.head = self.make_head()
        self.build((None, *self.image_shape))

    def learn_with(self, label_smoothing=None, mixup_alpha=None, cutmix_alpha=None):
        """Changes how labelled images are smoothed and mixed; None changes nothing."""
        if label_smoothing is not None:
            if not 0 <= label_smoothing < 1:
                raise ValueError(
                    "`label_smoothing` should be in [0, 1). "
                    f"Received: label_smoothing={label_smoothing}"
                )
            self.label_smoothing = label_smoothing
        if mixup_alpha is not None:
            self.mixup_alpha = mixup_alpha
        if cutmix_alpha is not None:
            self.cutmix_alpha = cutmix_alpha

    def make_head(self):
        """Makes the layer from features to scores."""
        return keras.layers.Dense(
            self.num_classes,
            kernel_initializer=first_kernel(),
            dtype=self.dtype_policy,
            name="head",
        )

    def check_features(self, features):
        """Refuses a backbone by the specs of what it gives."""
        if not isinstance(features, keras.KerasTensor) or len(features.shape) != 2:
            raise ValueError(
                "`backbone` should map images [B, H, W, C] to features [B, D]. "
                f"Received a backbone with output {features}"
            )

    def build(self, input_shape):
        features = build_features(self.backbone, self.image_shape)
        self.check_features(features)
        self.head.build(keras.tree.map_structure(lambda one: one.shape, features))
        self.built = True

    def call(self, images, training=False):
        return self.head(self.backbone(images, training=training))

    def compute_output_shape(self, input_shape):
        return (input_shape[0], self.num_classes)

    def networks(self):
        return {"student": self}

    def scores(self, images, training=False):
        """Returns the scores of each stream, here of one: float32 `[B, 1, K]`."""
        return ops.cast(self(images, training=training), "float32")[:, None]

    def examples(self, images, labels, weights=None):
        """Returns what is learned of a labelled batch: mixed images and targets.

        Weights are mixed with the labels that they belong to: a label of weight 0 has
        no influence, whatever its image is mixed with.

        Args:
            images: Tensor `[B, H, W, C]`.
            labels: Tensor of class numbers `[B]` or of distributions `[B, K]`.
            weights: Optional float tensor `[B]`.

        Returns:
            Dict of float32 tensors: `image` `[B, H, W, C]`, `target` `[B, K]` and, with
            weights, `target_weight` `[B]`.
        """
        images = ops.cast(images, "float32")
        if weights is None:
            images, targets = self.mixed(images, labels)
            return {"image": images, "target": targets}
        labels = label_distributions(labels, self.num_classes)
        weights = ops.reshape(ops.cast(weights, "float32"), (-1, 1))
        images, targets = self.mixed(images, labels * weights)
        weight = ops.sum(targets, axis=-1)
        targets = targets / ops.where(weight == 0, 1.0, weight)[:, None]
        return {"image": images, "target": targets, "target_weight": weight}

    def mixed(self, images, labels):
        """Returns mixed images and smoothed targets, see `labeled_mix`."""
        if self.mixup_alpha > 0 or self.cutmix_alpha > 0:
            return labeled_mix(
                images,
                labels,
                self.num_classes,
                mixup_alpha=self.mixup_alpha,
                cutmix_alpha=self.cutmix_alpha,
                label_smoothing=self.label_smoothing,
                seed=self.seed_generator,
            )
        return images, smoothed_one_hot(labels, self.num_classes, self.label_smoothing)

    def mean_labeled_loss(
        self, prepared, loss_function=soft_target_cross_entropy, scores=None
    ):
        """Returns the mean over a batch, and over streams, of weight times loss.

        Args:
            prepared: A micro-batch of what `examples` returned.
            loss_function: Of targets and scores.
            scores: Optional tensor `[B, S, K]`, where they were computed before.
        """
        if scores is None:
            scores = self.scores(prepared["image"], training=True)
        losses = mean_over_streams(loss_function, prepared["target"], scores)
        if "target_weight" in prepared:
            losses *= prepared["target_weight"]
        return ops.mean(losses)

    def prepare(self, batch):
        return self.examples(*self.unpack(batch))

    def objective(self, prepared):
        return self.mean_labeled_loss(prepared, self.loss_function), {}

    def get_config(self):
        config = super().get_config()
        names = "num_classes label_smoothing mixup_alpha cutmix_alpha image_shape seed"
        config.update({name: getattr(self, name) for name in names.split()})
        config["backbone"] = keras.saving.serialize_keras_object(self.backbone)
        return config

    @classmethod
    def from_config(cls, config):
        config = dict(config)
        config["backbone"] = keras.saving.deserialize_keras_object(config["backbone"])
        return cls(**config)
