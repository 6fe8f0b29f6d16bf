"""A method is its parts: new ones need a few lines and no change of the package."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from semivit_tf.methods.fixmatch import FixMatch
from semivit_tf.methods.freematch import FreeMatch
from semivit_tf.methods.semi_supervised import SemiSupervised
from semivit_tf.methods.semi_vit import SemiViT
from semivit_tf.training.schedules import Ramp
from tests.methods.small import loss_and_terms, semi_batch, sharpen, small_vit


class Margin(SemiSupervised):
    """Counts images by how far their two likeliest classes are apart."""

    def select(self, probabilities, index=None):
        largest, second = tf.unstack(tf.math.top_k(probabilities, 2).values, axis=1)
        return largest - second


def test_a_method_of_ones_own_takes_a_few_lines():
    model = Margin(small_vit(), 3, unlabeled_weight=2.0)
    model.label = lambda images: tf.constant([[0.7, 0.2, 0.1], [0.4, 0.4, 0.2]])
    views, labels = semi_batch(4, 2)
    loss, terms = loss_and_terms(model, (views, labels))
    logits = np.asarray(model.student(views["strong"]))
    targets = 0.9 * np.eye(3)[0] + 0.1 / 3
    expected = -(targets * tf.nn.log_softmax(logits)[0]).numpy().sum() * 0.5 / 2
    np.testing.assert_allclose(terms["unlabeled_loss"][0], expected, rtol=1e-5)
    np.testing.assert_allclose(terms["kept"][0], 0.25, rtol=1e-6)
    np.testing.assert_allclose(loss, terms["labeled_loss"][0] + 2 * expected, rtol=1e-5)
    model.compile(keras.optimizers.SGD(0.1), jit_compile=False)
    history = model.fit(tf.data.Dataset.from_tensors((views, labels)), verbose=0)
    assert np.isfinite(history.history["loss"][0])


def test_the_weight_of_the_unlabelled_loss_may_grow():
    model = SemiSupervised(
        small_vit(), 3, selection="fixed_threshold", unlabeled_weight=Ramp(8.0, 4)
    )
    model.selection.threshold = 0.0
    model.compile(keras.optimizers.SGD(0.0), jit_compile=False)
    batch = semi_batch()
    weights = []
    for _ in range(6):
        model.reset_metrics()
        logs = model.train_on_batch(*batch, return_dict=True)
        weights.append((logs["loss"] - logs["labeled_loss"]) / logs["unlabeled_loss"])
    np.testing.assert_allclose(weights, [0, 2, 4, 6, 8, 8], atol=1e-4)
    again = SemiSupervised.from_config(model.get_config())
    assert again.unlabeled_weight.get_config() == {"value": 8.0, "steps": 4}


class TwoStrong(SemiSupervised):
    """Also learns to answer alike to two strong views."""

    unlabeled_views = ("weak", "strong2", "strong")
    further_terms = ("difference",)

    def prepare(self, batch):
        return {**super().prepare(batch), "strong2": batch[0]["strong2"]}

    def further_losses(self, prepared, scores):
        other = self.student.scores(prepared["strong2"], training=True)
        return {"difference": (0.5, tf.reduce_mean((scores - other) ** 2))}


def test_a_method_may_ask_for_more_views_and_use_them():
    model = TwoStrong(small_vit(), 3, mixup_alpha=0, cutmix_alpha=0)
    model.selection.threshold = 0.0  # scores are zero for images that do not count
    sharpen(model.student)
    views, labels = semi_batch(4, 12)
    with pytest.raises(
        ValueError, match=r"\(\{image, weak, strong2, strong\}, label\)"
    ):
        model.prepare((views, labels))
    views["strong2"] = semi_batch(4, 12, seed=1)[0]["strong"]
    prepared = model.prepare((views, labels))
    np.testing.assert_array_equal(prepared["shown"], views["strong"])
    np.testing.assert_array_equal(prepared["weak"], views["weak"])
    loss, terms = model.objective(prepared)
    logits = [np.asarray(model.student(views[name])) for name in ("strong", "strong2")]
    difference = ((logits[0] - logits[1]) ** 2).mean()
    assert difference > 0.01
    np.testing.assert_allclose(terms["difference"][0], difference, rtol=1e-4)
    others = terms["labeled_loss"][0] + terms["unlabeled_loss"][0]
    np.testing.assert_allclose(loss, others + 0.5 * difference, rtol=1e-5)


def test_pairs_are_drawn_once_for_all_micro_batches():
    """Who mixes with whom does not depend on how a batch is cut."""
    found = []
    for parts in (1, 2):
        keras.utils.set_random_seed(0)
        model = SemiViT(small_vit(), 3, threshold=0.0, seed=0)
        model.compile(keras.optimizers.SGD(0.1), batch_parts=parts, jit_compile=False)
        logs = model.train_on_batch(*semi_batch(4, 12), return_dict=True)
        found.append((float(logs["loss"]), model.get_weights()))
    np.testing.assert_allclose(found[0][0], found[1][0], rtol=1e-6)
    for one, other in zip(found[0][1], found[1][1], strict=True):
        np.testing.assert_allclose(one, other, atol=1e-6)


def test_a_parts_name_leaves_it_as_the_method_makes_it():
    names = {"selection": "fixed_threshold", "mixing": "probabilistic"}
    model = SemiViT(small_vit(), 3, threshold=0.3, cutmix_probability=0.1, **names)
    assert model.selection.threshold == 0.3
    assert model.mixing.cutmix_probability == 0.1
    model = FixMatch(small_vit(), 3, threshold=0.3, selection="fixed_threshold")
    assert model.selection.threshold == 0.3
    name = "self_adaptive_threshold"
    model = FreeMatch(small_vit(), 3, threshold_momentum=0.3, selection=name)
    assert model.selection.threshold_momentum == 0.3


@pytest.mark.parametrize("kind", ["labeler", "selection", "mixing"])
def test_a_part_of_no_known_name_is_refused(kind):
    with pytest.raises(ValueError, match=f"`{kind}` should be one of: .*'foo'"):
        SemiSupervised(small_vit(), 3, **{kind: "foo"})


def test_a_selection_may_answer_with_yes_and_no():
    class Sure(SemiSupervised):
        def select(self, probabilities, index=None):
            return tf.reduce_max(probabilities, axis=-1) > 0.0

    _, terms = loss_and_terms(Sure(small_vit(), 3), semi_batch(4, 4))
    assert float(terms["kept"][0]) == 1.0


def test_a_further_loss_has_to_be_named():
    class Unnamed(SemiSupervised):
        def further_losses(self, prepared, scores):
            return {"extra": (1.0, tf.reduce_mean(scores))}

    with pytest.raises(ValueError, match="`further_terms` should name.*'extra'"):
        loss_and_terms(Unnamed(small_vit(), 3), semi_batch(4, 4))


def test_a_model_saved_before_methods_had_parts_can_be_loaded():
    config = SemiViT(small_vit(), 3).get_config()
    for name in ("selection", "mixing", "labeler"):
        del config[name]
    again = SemiViT.from_config({**config, "threshold": 0.7, "cutmix_probability": 0.2})
    assert again.selection.threshold == 0.7
    assert again.mixing.cutmix_probability == 0.2


@pytest.mark.parametrize("parts", [2, 4])
def test_micro_batches_are_traced_twice_however_many_there_are(parts):
    """The first by itself, and the loop over the others; labels the same way."""
    traced = {"labeled": 0, "learned": 0}

    class Counted(SemiSupervised):
        def label(self, images):
            traced["labeled"] += 1
            return super().label(images)

        def objective(self, prepared):
            traced["learned"] += 1
            return super().objective(prepared)

    model = Counted(small_vit(), 3)
    model.compile(keras.optimizers.SGD(0.1), batch_parts=parts, jit_compile=False)
    model.optimizer.build(model.trainable_variables)
    tf.function(model.train_step).get_concrete_function(semi_batch(4, 12))
    assert traced == {"labeled": 2, "learned": 2}


def test_fit_again_and_again_traces_once(mirrored):
    """With a callback of the same momentum, on replicas too."""
    from semivit_tf.methods.ema_teacher import EMATeacher

    traced = []

    class Counted(SemiSupervised):
        def objective(self, prepared):
            traced.append(1)
            return super().objective(prepared)

    for strategy in (tf.distribute.get_strategy(), mirrored):
        with strategy.scope():
            model = Counted(small_vit(), 3)
            model.compile(keras.optimizers.SGD(0.1), jit_compile=False)
        data = tf.data.Dataset.from_tensors(semi_batch(4, 12))
        counts = []
        for _ in range(3):
            model.fit(data, verbose=0, callbacks=[EMATeacher(0.9)])
            counts.append(len(traced))
        assert counts[0] > 0 and len(set(counts)) == 1
        model.fit(data, verbose=0, callbacks=[EMATeacher(0.5)])
        assert len(traced) > counts[0]
        traced.clear()
