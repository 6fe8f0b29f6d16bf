"""Learning from labelled and unlabelled images: the parts of a method, in order.

1. Who labels? `label`: a labeler's probabilities for the weak views.
2. What counts, and how much? `select`: a weight for each image.
3. What is shown? `mix`: images and targets made of strong views and pseudo labels.
4. What is lost? `unlabeled_loss`: of the student's scores against these targets.
5. What else? `further_losses`.

The first three happen once for each batch, outside of the gradient.
"""

from collections.abc import Callable

import keras
from keras import ops

from semivit_tf.losses.cross_entropy import (
    smoothed_one_hot,
    soft_target_cross_entropy,
)
from semivit_tf.losses.pseudo_labels import pseudo_label_quality
from semivit_tf.losses.streams import mean_over_streams
from semivit_tf.methods.averaged_classifier import AveragedClassifier
from semivit_tf.methods.batch_statistics import batch_statistics
from semivit_tf.methods.effective_classes import EffectiveClasses
from semivit_tf.methods.gating import Gating
from semivit_tf.methods.judged_labels import JudgedLabels
from semivit_tf.methods.labelers import LABELERS, check_labeler
from semivit_tf.methods.mixings import MIXINGS
from semivit_tf.methods.parts import part_from
from semivit_tf.methods.selections import SELECTIONS


@keras.saving.register_keras_serializable(package="semivit_tf")
class SemiSupervised(JudgedLabels, Gating, AveragedClassifier):
    """The step of all methods that learn from `({image, weak, strong}, label)`.

    The loss is the labelled loss, plus `unlabeled_weight` times the mean over all
    unlabelled images of weight times loss, plus further losses. A method names its
    parts, or overrides `label`, `select`, `targets`, `mix`, `unlabeled_loss` or
    `further_losses`.

    A batch may hold weights `[B]` of the labelled images as a third. The keys of its
    views: `image` `[B, H, W, C]`, the views `[U, H, W, C]` that `unlabeled_views`
    names, optionally `index` `[U]`, the place of each image in its source, and
    optionally `unlabeled_label` `[U]`, which is used to report the quality of the
    pseudo labels and never reaches a loss.

    Args:
        backbone: See `AveragedClassifier`; so are the arguments not listed here.
        num_classes: Integer K.
        labeler: A name in `LABELERS`.
        selection: A name in `SELECTIONS`, or a layer like those. The name of a part
            that the method has anyway leaves it as the method makes it.
        mixing: A name in `MIXINGS`, or a function like those.
        unlabeled_weight: Float, or a schedule: from the number of updates done to the
            weight of the unlabelled loss.
        **kwargs: Passed to `AveragedClassifier`.
    """

    # Which views data should give: of unlabelled images first the one that is labelled,
    # last the one that is learned, which may be the same, and others that the method
    # needs between them; of labelled ones "labeled" (a strong one) or "weak".
    unlabeled_views: tuple[str, ...] = ("weak", "strong")
    labeled_view = "labeled"

    def __init__(
        self,
        backbone: keras.Model,
        num_classes: int | None = None,
        *,
        labeler: str = "teacher",
        selection: str | keras.layers.Layer = "fixed_threshold",
        mixing: str | Callable = "none",
        unlabeled_weight: float | Callable = 1.0,
        **kwargs,
    ):
        kwargs.setdefault("name", "semi_supervised")
        super().__init__(backbone, num_classes, **kwargs)
        check_labeler(labeler, self.student)
        self.labeler = labeler
        self.selection = part_from(SELECTIONS, "selection", selection)
        if not self.selection.built:
            self.selection.build((None, self.num_classes))
        self.mixing = part_from(MIXINGS, "mixing", mixing)
        self.unlabeled_weight = unlabeled_weight
        self.seed_generator = keras.random.SeedGenerator(self.seed)
        self.track_term(EffectiveClasses(self.num_classes, "pseudo_label_classes"))

    def logged_terms(self):
        return (
            "labeled_loss",
            "unlabeled_loss",
            *self.further_terms,
            "kept",
            "pseudo_label_classes",
            "pseudo_label_accuracy",
            "pseudo_label_precision",
            "pseudo_label_recall",
        )

    # === The parts ===

    def label(self, images):
        """Returns the probabilities `[U, K]` of weak views, without a gradient."""
        return self._by(self.labeler, images)

    def settled_label(self, images):
        """Returns what `label` does, by the student without what is random in it."""
        if type(self).label is not SemiSupervised.label:
            return self.label(images)
        return self._by(self.labeler.removesuffix("_in_training"), images)

    def _by(self, labeler, images):
        scores = LABELERS[labeler](self, images)
        return ops.softmax(ops.mean(scores, axis=1), axis=-1)

    def select(self, probabilities, index=None):
        """Returns the weights `[U]` in [0, 1] of images with these probabilities."""
        return self.selection(probabilities, index=index)

    def judge(self, probabilities):
        """Returns the weights `[U]` that `select` would give now, and learns nothing.

        None where that is not known: a selection of one's own may have no `judge`.
        """
        if type(self).select is not SemiSupervised.select:
            return None
        judge = getattr(self.selection, "judge", None)
        return judge and judge(probabilities)

    def targets(self, probabilities):
        """Returns what the student should answer: here hard labels, smoothed."""
        labels = ops.argmax(probabilities, axis=-1)
        return smoothed_one_hot(labels, self.num_classes, self.student.label_smoothing)

    def mix(self, images, targets, confidence, weight):
        """Returns the images, targets and weights that are learned from."""
        return self.mixing(
            images, targets, confidence, weight, seed=self.seed_generator
        )

    def unlabeled_loss(self, targets, scores):
        """Returns the loss `[U]` of scores `[U, S, K]` against targets `[U, K]`."""
        return mean_over_streams(soft_target_cross_entropy, targets, scores)

    further_terms: tuple[str, ...] = ()  # the names that `further_losses` uses

    def further_losses(self, prepared, scores):
        """Returns a dict of name to `(weight, loss)`, both scalars.

        Args:
            prepared: A micro-batch of what `prepare` returned.
            scores: Float tensor `[U, S, K]` of the images learned from; zero where
                their weight is, if these were left out.
        """
        return {}

    def further_values(self):
        """Returns how many values `further_losses` keep of an unlabelled image.

        They are kept for the gradient; the memory of a step is estimated from them.
        """
        return 0

    # === Steps ===

    def check_views(self, views):
        """Refuses what is no semi-supervised batch."""
        needed = ("image", *self.unlabeled_views)
        if not isinstance(views, dict) or not set(needed) <= set(views):
            given = sorted(views) if isinstance(views, dict) else "images"
            raise ValueError(
                f"{type(self).__name__} should learn from batches "
                f"({{{', '.join(needed)}}}, label), which `semivit_tf.pair_datasets` "
                f"makes of two data sets. Received: ({given}, label)"
            )

    def prepare(self, batch):
        views, labels, weights = self.unpack(batch)
        self.check_views(views)
        labeled_by, learned = self.unlabeled_views[0], self.unlabeled_views[-1]
        weak, strong = views[labeled_by], views[learned]
        probabilities = self.by_micro_batches(self.label, weak)
        weight = self.select(probabilities, views.get("index"))
        shown, pseudo_targets, weight = self.mix(
            ops.cast(strong, "float32"),
            self.targets(probabilities),
            ops.max(probabilities, axis=-1),
            ops.cast(weight, "float32"),
        )
        prepared = {
            **self.student.examples(views["image"], labels, weights),
            "weak": weak,
            "shown": shown,
            "pseudo_target": pseudo_targets,
            "weight": weight,
            "pseudo_label": ops.argmax(probabilities, axis=-1),
        }
        if "unlabeled_label" in views:
            # To report how right pseudo labels are; the truth reaches no loss.
            prepared["unlabeled_label"] = views["unlabeled_label"]
        return prepared

    def training_scores(self, prepared):
        """Returns the student's scores of labelled images, and of those shown.

        With batch statistics they share a pass, so that these are of both.
        """
        labeled, shown = prepared["image"], prepared["shown"]
        if not batch_statistics(self.student):
            return (
                self.student.scores(labeled, training=True),
                self.scores_where_kept(shown, prepared["weight"]),
            )
        images = ops.concatenate([labeled, shown], axis=0)
        scores = self.student.scores(images, training=True)
        count = ops.shape(labeled)[0]
        return scores[:count], scores[count:]

    def objective(self, prepared):
        weight = prepared["weight"]
        labeled_scores, scores = self.training_scores(prepared)
        labeled = self.mean_labeled_loss(prepared, labeled_scores)
        losses = self.unlabeled_loss(prepared["pseudo_target"], scores)
        unlabeled = ops.mean(weight * losses)
        loss = labeled + self.at_this_update(self.unlabeled_weight) * unlabeled
        terms = {
            "labeled_loss": (labeled, 1.0),
            "unlabeled_loss": (unlabeled, 1.0),
            "kept": (ops.mean(weight), 1.0),
            "pseudo_label_classes": (self._counted(prepared), 1.0),
        }
        for name, (factor, further) in self.further_losses(prepared, scores).items():
            if name not in self.further_terms:
                raise ValueError(
                    "`further_terms` should name all further losses. Received: "
                    f"{self.further_terms}, and a loss called {name!r}"
                )
            loss += factor * further
            terms[name] = (further, 1.0)
        if "unlabeled_label" in prepared:
            quality = pseudo_label_quality(
                prepared["pseudo_label"], prepared["unlabeled_label"], weight
            )
            for name, (counted, total) in quality.items():
                share = counted / ops.maximum(total, 1.0)
                terms[f"pseudo_label_{name}"] = (share, total)
        return loss, terms

    def _counted(self, prepared):
        """Returns the weights `[K]` of the pseudo labels of each class."""
        one_hot = ops.one_hot(prepared["pseudo_label"], self.num_classes)
        return ops.sum(prepared["weight"][:, None] * one_hot, axis=0)

    def get_config(self):
        return {
            **super().get_config(),
            "labeler": self.labeler,
            "selection": keras.saving.serialize_keras_object(self.selection),
            "mixing": keras.saving.serialize_keras_object(self.mixing),
            "unlabeled_weight": keras.saving.serialize_keras_object(
                self.unlabeled_weight
            ),
        }

    @classmethod
    def from_config(cls, config):
        made = {
            name: keras.saving.deserialize_keras_object(config[name])
            for name in ("selection", "mixing", "unlabeled_weight")
            if name in config  # not in models saved before methods had parts
        }
        return super().from_config({**config, **made})
