"""How long a run will take and what it will need, estimated before it starts."""

import dataclasses
import gc

import tensorflow as tf

from semivit_tf.evaluation.tables import text_table
from semivit_tf.stages.memory import Need
from semivit_tf.stages.speed import Speed, estimated_speed, seconds_of_reading
from semivit_tf.training.checkpoints import Checkpoints
from semivit_tf.training.progress import clock


@dataclasses.dataclass(frozen=True)
class Plan:
    """What is left of a training stage.

    Attributes:
        steps: Integer.
        images_per_step: Integer.
        speed: `Speed`.
        trained: Integer. Weights that are trained.
        values: Integer. Numbers in a checkpoint.
        need: Optional `Need`.
        parts: Integer. Micro-batches.
    """

    steps: int
    images_per_step: int
    speed: Speed
    trained: int
    values: int
    need: Need | None
    parts: int

    @property
    def seconds(self):
        """How long it takes."""
        return self.speed.seconds(self.steps)

    @property
    def checkpoint_bytes(self):
        """The size of a checkpoint."""
        return 4 * self.values


def plan_stages(run):
    """Returns what a person should know of the stages before they start.

    All are estimated on the images of the run: those that a stage would make are not
    there yet. What a stage starts from does not change its speed, and is not loaded.
    """
    left = [
        stage
        for stage in run.wanted
        if stage.kind.trains and not run.stage_folder(stage).done
    ]
    if not left:
        return "Nothing is left to train."
    found = {stage.name: plan for stage, plan in plans_of(run, left).items()}
    settings = run.config.run
    # Besides the latest: the best, and the one that is being written.
    return describe(found, settings.keep_checkpoints + 2, settings.precision)


def plans_of(run, stages):
    """Returns a dict of training stage to its `Plan`; nothing is traced."""
    if not stages:
        return {}
    reading = seconds_of_reading(run)
    plans = {stage: plan_stage(run, stage, reading) for stage in stages}
    gc.collect()  # the networks that were measured
    return plans


def plan_stage(run, stage, reading):
    """Returns the `Plan` of one, told how many seconds reading an image takes."""
    run = run.fix(stage, **run.derived(stage))
    settings = run.settings(stage)
    alone = dataclasses.replace(run, strategy=tf.distribute.get_strategy())
    training = stage.kind.prepare(alone, stage)
    model = training.model
    model.optimizer.build(model.trainable_variables)
    state = {id(v): v for v in (*model.variables, *model.optimizer.variables)}
    done = Checkpoints(run.stage_folder(stage).checkpoints).position().step
    return Plan(
        steps=training.epochs * training.steps_per_epoch - done,
        images_per_step=training.images_per_step,
        speed=estimated_speed(run, training, reading),
        trained=sum(v.shape.num_elements() for v in model.trainable_variables),
        values=sum(v.shape.num_elements() for v in state.values()),
        need=run.needs[stage.name],
        parts=settings.batch_parts,
    )


def describe(plans, kept, precision):
    """Returns plans as a table and a sentence.

    Args:
        plans: Dict of stage to `Plan`.
        kept: Integer. Checkpoints that there may be of each stage at once.
        precision: Name of the number format.
    """

    def memory(plan):
        if plan.need is None:
            return "unknown"
        return f"{plan.need.bytes(plan.parts, precision) / 1e9:.2f} GB"

    rows = [
        (
            stage,
            f"{plan.trained / 1e6:.2f} M",
            plan.steps,
            f"{plan.images_per_step / plan.speed.step:.1f}",
            clock(plan.seconds),
            memory(plan),
            f"{plan.checkpoint_bytes * kept / 1e6:.1f} MB",
        )
        for stage, plan in plans.items()
    ]
    header = ("stage", "trained", "steps left", "images/s", "time", "memory")
    seconds = clock(sum(plan.seconds for plan in plans.values()))
    disk = sum(plan.checkpoint_bytes for plan in plans.values()) * kept / 1e6
    return (
        f"{text_table((*header, 'checkpoints'), rows)}\n\n"
        f"Training takes about {seconds} and {disk:.1f} MB for checkpoints, estimated "
        "from a few images of each stage."
    )
