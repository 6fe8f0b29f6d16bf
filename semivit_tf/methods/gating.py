"""Gating: the student runs only on the unlabelled images that count."""

from keras import ops

from semivit_tf.methods.batch_statistics import batch_statistics


def reason_for_all_rows(student, jit_compile, strategy=""):
    """Returns why a student has to run on all images, or an empty string."""
    if jit_compile:
        return "XLA needs shapes that do not change"
    if strategy.startswith("TPU"):
        return "a TPU needs shapes that do not change"
    if batch_statistics(student):
        return "the student has batch statistics"
    return ""


class Gating:
    """A mixin for methods that leave out images that do not count.

    List it before `LabeledMethod` among the bases of a method with a `student`.
    """

    gated = "auto"

    def compile(self, *args, gated="auto", **kwargs):
        """Configures training; see `LabeledMethod.compile`.

        Args:
            *args: Passed to `LabeledMethod.compile`.
            gated: Bool or `"auto"`. Whether the student runs only on unlabelled images
                that are kept: the same loss and gradients from less work. That excludes
                XLA and TPUs, which need fixed shapes, and a student with batch norm,
                whose statistics need every image. `"auto"`: where possible.
            **kwargs: Passed to `LabeledMethod.compile`.
        """
        super().compile(*args, **kwargs)
        self._compile_config.config.update(gated=gated)
        if gated == "auto":
            gated = not self.needs_all_rows()
        elif gated and self.needs_all_rows():
            raise ValueError(
                f"`gated=True` is not possible: {self.needs_all_rows()}. "
                'Pass gated="auto"'
            )
        self.gated = gated

    def needs_all_rows(self):
        """Returns why the student has to run on all images, or an empty string."""
        strategy = type(self.distribute_strategy).__name__
        return reason_for_all_rows(self.student, self.jit_compile, strategy)

    def scores_where_kept(self, images, weight):
        """Returns the student's scores `[U, S, K]`; zero for images left out.

        Args:
            images: Float tensor `[U, H, W, C]`.
            weight: Float tensor `[U]`. Images of weight 0 may be left out.
        """
        if not self.gated:
            return self.student.scores(images, training=True)
        rows = ops.nonzero(weight > 0.0)[0]
        # Some operations reject empty batches.
        none = ops.cast(ops.equal(ops.size(rows), 0), "int32")
        rows = ops.concatenate([rows, ops.zeros((none,), rows.dtype)], axis=0)
        scores = self.student.scores(ops.take(images, rows, axis=0), training=True)
        shape = (ops.shape(weight)[0], *scores.shape[1:])
        return ops.scatter(rows[:, None], scores, shape)
