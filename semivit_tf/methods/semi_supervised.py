"""Learning from labelled and unlabelled images with a student and its teacher."""

import keras
from keras import ops

from semivit_tf.losses.pseudo_labels import hard_pseudo_labels, pseudo_label_quality
from semivit_tf.methods.averaged_classifier import AveragedClassifier


def reason_for_all_rows(student, jit_compile, strategy=""):
    """Returns why a student has to see images that do not count, or nothing."""
    if jit_compile:
        return "XLA needs shapes that do not change"
    if strategy.startswith("TPU"):
        return "a TPU needs shapes that do not change"
    if any(weight.name == "moving_mean" for weight in student.weights):
        return "the student has batch statistics"
    return ""


class SemiSupervised(AveragedClassifier):
    """The step of all methods that learn from `({image, weak, strong}, label)`.

    The loss is the labelled loss plus `unlabeled_weight` times the mean of
    `unlabeled_loss` over all unlabelled images, kept or not. A method overrides
    `unlabeled_loss`, or where its pseudo labels come from.

    The keys of a batch: `image` `[B, H, W, C]`, `weak` and `strong` `[U, H, W, C]`, and
    optionally `unlabeled_label` `[U]`, which is used to report the quality of the
    pseudo labels and never reaches a loss.

    Args:
        backbone: See `AveragedClassifier`; so are the arguments not listed here.
        num_classes: Integer K.
        unlabeled_weight: Float. Weight of the unlabelled loss.
        **kwargs: Passed to `AveragedClassifier`.
    """

    def __init__(self, backbone, num_classes=None, *, unlabeled_weight=5.0, **kwargs):
        super().__init__(backbone, num_classes, **kwargs)
        self.unlabeled_weight = unlabeled_weight
        self.seed_generator = keras.random.SeedGenerator(self.seed)

    @staticmethod
    def logged_terms():
        return (
            "labeled_loss",
            "unlabeled_loss",
            "kept",
            "pseudo_label_accuracy",
            "pseudo_label_precision",
            "pseudo_label_recall",
        )

    # === What a method may override ===

    def pseudo_labels(self, views):
        """Returns hard labels `[U]` and confidences `[U]`; by default the teacher's."""
        return hard_pseudo_labels(self.teacher(views["weak"], training=False))

    def unlabeled_loss(self, views):
        """Computes what the student loses on the unlabelled images.

        Args:
            views: Dict of `weak` and `strong` `[U, H, W, C]`, `pseudo_label` `[U]` and
                `confidence` `[U]`.

        Returns:
            Tuple `(loss, kept)` of float32 tensors `[U]`; `loss` is zero where `kept`
            is.
        """
        raise NotImplementedError

    # === Skipping what does not count ===

    gated = "auto"

    def compile(self, *args, gated="auto", **kwargs):
        """Configures training; see `LabeledMethod.compile`.

        Args:
            *args: Passed to `LabeledMethod.compile`.
            gated: Bool or `"auto"`. Whether the student runs only on unlabelled images
                that are kept: the same loss and gradients from less work. That needs
                shapes that may change, so neither XLA nor a TPU, and a student without
                batch statistics, which are all images' affair. `"auto"`: where it may.
            **kwargs: Passed to `LabeledMethod.compile`.
        """
        super().compile(*args, **kwargs)
        self._compile_config.config.update(gated=gated)
        if gated == "auto":
            gated = not self.needs_all_rows()
        elif gated and self.needs_all_rows():
            raise ValueError(
                f"`gated=True` cannot be had: {self.needs_all_rows()}. "
                'Pass gated="auto"'
            )
        self.gated = gated

    def needs_all_rows(self):
        """Returns why the student has to see images that do not count, or nothing."""
        strategy = type(self.distribute_strategy).__name__
        return reason_for_all_rows(self.student, self.jit_compile, strategy)

    def of_kept(self, kept, loss, *tensors):
        """Returns `loss(*tensors)` for images that are kept, and zero for the others.

        Args:
            kept: Float tensor `[U]` of 0 and 1.
            loss: Function from tensors `[N, ...]` to values `[N]`.
            *tensors: `[U, ...]`.

        Returns:
            Float tensor `[U]`.
        """
        if not self.gated:
            return kept * loss(*tensors)
        rows = ops.nonzero(kept > 0.0)[0]
        # No row at all is more than some operations can take.
        none = ops.cast(ops.equal(ops.size(rows), 0), "int32")
        rows = ops.concatenate([rows, ops.zeros((none,), rows.dtype)], axis=0)
        values = loss(*(ops.take(tensor, rows, axis=0) for tensor in tensors))
        values *= ops.take(kept, rows, axis=0)
        return ops.scatter(rows[:, None], values, ops.shape(kept))

    # === Steps ===

    def objective(self, batch):
        views, labels = self.unpack(batch)
        labeled = self.mean_labeled_loss(views["image"], labels)
        pseudo_label, confidence = self.pseudo_labels(views)
        # The truth, if it is there, stays out of what the loss can see.
        seen = {"weak": views["weak"], "strong": views["strong"]}
        loss, kept = self.unlabeled_loss(
            {**seen, "pseudo_label": pseudo_label, "confidence": confidence}
        )
        unlabeled = ops.mean(loss)
        terms = {
            "labeled_loss": (labeled, 1.0),
            "unlabeled_loss": (unlabeled, 1.0),
            "kept": (ops.mean(kept), 1.0),
        }
        if "unlabeled_label" in views:
            quality = pseudo_label_quality(pseudo_label, views["unlabeled_label"], kept)
            for name, (counted, total) in quality.items():
                share = counted / ops.maximum(total, 1.0)
                terms[f"pseudo_label_{name}"] = (share, total)
        return labeled + self.unlabeled_weight * unlabeled, terms

    def get_config(self):
        return {**super().get_config(), "unlabeled_weight": self.unlabeled_weight}
