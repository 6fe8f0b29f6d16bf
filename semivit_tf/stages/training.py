"""What all kinds of training share: the order of their work, and what they keep."""

import dataclasses
from collections.abc import Callable, Sequence

import keras

from semivit_tf.data.class_balance import balancing_weights, weighted
from semivit_tf.stages.batch_sizes import Batch, check_batches
from semivit_tf.stages.failures import input_errors
from semivit_tf.stages.memory import Need, micro_batches
from semivit_tf.stages.stage import Kind
from semivit_tf.stages.starting_weights import refuse_unfinished, starting_weights
from semivit_tf.training.checkpoints import Checkpoints
from semivit_tf.training.in_vain import SayInVain


@dataclasses.dataclass(frozen=True)
class Training:
    """A compiled method, where its batches come from, and for how long.

    `images_per_step` counts all images of a step, with and without labels. `best` is
    the name of the network that answers, and its metric on validation images, by which
    epochs are compared. `specs` says what a batch is like where `stream` can only be
    asked once the stage has begun; `validated` makes of batches of validation images
    what the method is validated on.
    """

    model: keras.Model
    stream: Callable
    epochs: int
    steps_per_epoch: int
    images_per_step: int
    callbacks: Sequence = ()
    best: tuple[str, str] | None = None
    specs: object = None
    validated: Callable = lambda batches: batches


def on_labeled_images(run, settings, model, steps_per_epoch, callbacks):
    """Returns the `Training` of a compiled method on all images that have a label."""
    return Training(
        model,
        lambda step, shard=(0, 1): run.data.labeled(settings.batch_size, step, shard),
        epochs=settings.epochs,
        steps_per_epoch=steps_per_epoch,
        images_per_step=settings.batch_size,
        callbacks=callbacks,
    )


class TrainingKind(Kind):
    """A kind of stage that trains, and keeps the weights of networks."""

    trains = True

    # === What a kind says ===

    def batches(self, settings, data) -> list[Batch]:
        """Returns what a step takes of which images."""
        raise NotImplementedError

    def network(self, run, stage) -> keras.Model:
        """Builds the network that is trained, as `--init_from` is loaded into it."""
        raise NotImplementedError

    def prepare(self, run, stage) -> Training:
        """Builds and compiles the method; no weights are loaded."""
        raise NotImplementedError

    def load_file(self, run, stage, network) -> None:
        """Loads `--init_from` into what `network` built."""
        raise NotImplementedError

    def need(self, run, stage, method) -> Need | None:
        """Returns what memory the stage takes; None where nothing is known.

        Args:
            run: `Run`.
            stage: `Stage`.
            method: What `method` returned.
        """
        return None

    def method(self, run, stage, network) -> keras.Model:
        """Returns the method around a network; refuses settings that do not fit."""
        return network

    def initialise(self, run, stage, model) -> None:
        """Gives the model of `prepare` the weights that the stage starts from."""
        raise NotImplementedError

    def keep(self, run, stage, model, checkpoint) -> None:
        """Writes the weights of the networks that stay.

        Args:
            run: `Run`.
            stage: `Stage`.
            model: That of `prepare`, trained.
            checkpoint: `"last"` or `"best"`: which weights the model has now.
        """
        raise NotImplementedError

    def networks(self, settings) -> tuple[str, ...]:
        """Returns the names of the networks that `keep` writes."""
        raise NotImplementedError

    def what_may_help(self, settings) -> str:
        """Returns what a stage that goes on from a classifier adds to its learning."""
        return "Further training"

    def warnings(self, run, stage):
        """Returns the callbacks that say what is learned in vain."""
        settings = run.settings(stage)
        rate, chosen = settings.flag("base_learning_rate"), run.method_settings(stage)
        advice = {"loss": f"a higher --{rate} or more --{settings.flag('epochs')}"}
        if chosen is not None:
            advice["kept"] = (
                f"a lower --{chosen.flag('threshold')}, or "
                f"--{chosen.flag('selection')}=self_adaptive_threshold"
            )
        classes, epochs = run.num_classes, settings.epochs
        said = SayInVain(stage.name, epochs, classes, advice)
        return [said] if run.is_chief and classes > 1 else []

    def balanced(self, run, stage, batches):
        """Returns batches of labelled images with weights, if the settings say so."""
        if not run.settings(stage).balanced:
            return batches
        return weighted(batches, balancing_weights(run.labeled_counts()))

    def summary(self, settings) -> dict:
        """Returns what is noted when the stage is finished."""
        return {}

    # === What follows from it ===

    def check(self, run, stage):
        refuse_unfinished(run, stage)
        with input_errors():
            network = self.network(run, stage)
            file = starting_weights(run, stage).file
            if file and not run.stage_folder(stage).done:
                # What the file holds is said when the stage starts from it.
                self.load_file(run.quiet(), stage, network)
            method = self.method(run, stage, network)
            needs = {**run.needs, stage.name: self.need(run, stage, method)}
            run = dataclasses.replace(run, needs=needs)
            flag = run.settings(stage).flag("batch_parts")
            return run.fix(stage, **{flag: micro_batches(run, stage)})

    def carry_out(self, run, stage):
        if run.did_before(stage):
            return
        check_batches(run, stage)  # again, since a stage may have data of its own
        with input_errors():
            training = self.prepare(run, stage)
            with run.strategy.scope():
                self.initialise(run, stage, training.model)
        end = run.train(training, stage)
        if run.is_chief:
            self.finish(run, stage, training, end.epoch)

    def finish(self, run, stage, training, epochs):
        """Keeps the last and the best weights, and marks the stage as finished."""
        self.keep(run, stage, training.model, "last")
        best = self.load_best(run, stage, training)
        if best:
            self.keep(run, stage, training.model, "best")
        run.stage_folder(stage).finish(
            **self.summary(run.settings(stage)),
            started_from=starting_weights(run, stage).name,
            epochs=epochs,
            **({"best": best} if best else {}),
        )

    def load_best(self, run, stage, training):
        """Gives the model its weights of the best epoch on validation images.

        Returns:
            Dict of the `epoch`, the `metric` and its `value`, or None where no epoch
            was compared.
        """
        if training.best is None:
            return None
        name, metric = training.best
        checkpoints = Checkpoints(run.stage_folder(stage).checkpoints)
        with run.strategy.scope():
            found = checkpoints.load_best(training.model, name)
        if found is None:
            return None
        return {"epoch": found["epoch"], "metric": metric, "value": found["value"]}
