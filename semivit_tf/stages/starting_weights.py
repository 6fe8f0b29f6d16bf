"""Which weights a stage starts from.

0. Nothing, if its settings say so.
1. The latest stage of its `starts_from` that is asked for or finished.
2. The file of `--init_from`, for the first stage that trains: nothing it could follow,
   directly or through others, is asked for or finished. Where nothing trains at all,
   the file is what is probed, evaluated and exported.
3. Nothing: it starts from scratch.

A training stage leaves its last weights and, where there are validation images, its
best ones. `--checkpoint` chooses which of them it hands on.
"""

import dataclasses
import pathlib

from semivit_tf.checksum import digest_of
from semivit_tf.config.settings import InputError
from semivit_tf.contracts import StudentAndTeacher, student_of
from semivit_tf.stages.failures import input_errors
from semivit_tf.stages.logit_adjustment import adjust_logits
from semivit_tf.stages.stage import Stage
from semivit_tf.training.weight_files import load_weights
from semivit_tf.weights import load_published

FROM_FILE = "init_from"  # in place of a stage's name


@dataclasses.dataclass(frozen=True)
class Source:
    """Where weights come from: a stage, or a file, or neither."""

    stage: Stage | None = None
    file: str | None = None

    @property
    def name(self) -> str:
        """What a summary calls it."""
        return self.stage.name if self.stage else self.file or "scratch"


def starting_weights(run, stage) -> Source:
    """Returns the `Source` of a stage, by the order above.

    Before the run it is where the stage will start, since what is asked for is finished
    by then.
    """
    # 0. Nothing.
    if stage.kind.from_scratch(run.settings(stage)):
        return Source()
    # 1. The latest stage.
    there = _there(run, stage.starts_from)
    if there:
        return Source(stage=there[-1])
    # 2. The file.
    file = run.config.backbone.init_from
    if file is not None and not _there(run, _followed(run, stage)):
        return Source(file=file)
    # 3. Scratch.
    return Source()


def _there(run, names):
    """Returns the stages of these names that are asked for or finished, in order."""
    return [stage for stage in run.pipeline if stage.name in names and run.has(stage)]


def _followed(run, stage):
    """Returns the names of all stages that a stage follows, also through others."""
    names = set(stage.starts_from)
    for earlier in reversed(run.pipeline):
        if earlier.name in names:
            names.update(earlier.starts_from)
    return names


def refuse_unfinished(run, stage):
    """Refuses to pass over a stage that has begun and would be started from."""
    if stage.kind.from_scratch(run.settings(stage)):
        return
    for earlier in run.pipeline:
        begun = run.stage_folder(earlier).begun and not run.has(earlier)
        if begun and earlier.name in stage.starts_from:
            raise InputError(
                f"The stage {earlier.name} has begun in {run.folder.path} and is not "
                "finished: --stages should have it too, or --workdir be another folder"
            )


# === What a training stage hands on ===


def chosen_checkpoint(run, stage) -> str:
    """Returns whether a training stage hands on its `"best"` or its `"last"` weights.

    Of a stage that is still to run, it is what it will hand on.
    """
    if run.config.run.checkpoint == "last":
        return "last"
    folder = run.stage_folder(stage)
    if folder.done:
        return "best" if folder.has_best else "last"
    compared = stage.kind.answers(run.settings(stage)) is not None
    return "best" if compared and len(run.data.split.validation) else "last"


def handed_on(run, stage, network):
    """Returns the file of a network's weights that a finished stage hands on."""
    return run.stage_folder(stage).weights(network, chosen_checkpoint(run, stage))


def load_classifier(run, stage, model):
    """Loads what a stage with a classifier hands on: a student, and a teacher if any.

    Args:
        run: `Run`.
        stage: `Stage` that is finished.
        model: A classifier, or a method with a `student` and a `teacher`. Where the
            stage has no teacher, the teacher starts as the student does.
    """
    student = student_of(model)
    load_weights(student, handed_on(run, stage, "student"))
    if student is not model:
        follow_student(model)
        teacher = handed_on(run, stage, "teacher")
        if teacher.exists():
            load_weights(model.teacher, teacher)


def follow_student(model):
    """Gives the teacher, if there is one, the student's weights."""
    if isinstance(model, StudentAndTeacher):
        model.teacher.set_weights(model.student.get_weights())


# === --init_from ===


def load_file(run, model, **options):
    """Loads `--init_from` into a model and says what became of the weights.

    Args:
        run: `Run`.
        model: See `load_published`, which also gets the options.
        **options: Those of `--init_...` win.
    """
    settings = run.config.backbone
    found = load_published(
        model, settings.init_from, **{**options, **settings.init_options()}
    )
    run.say(found.describe())


# === Networks that answer ===


@dataclasses.dataclass(frozen=True)
class Kept:
    """The weights of a classifier: those that a stage kept, or those of `--init_from`.

    Attributes:
        stage: `Stage`, or None for the file.
        network: String: `"student"` or `"teacher"`, or the file's name.
        checkpoint: `"best"` or `"last"`, or None for the file.
    """

    stage: Stage | None
    network: str
    checkpoint: str | None = None

    @property
    def stage_name(self) -> str:
        """The stage, as results name it."""
        return self.stage.name if self.stage else FROM_FILE

    @property
    def names(self) -> list[str]:
        """The stage, the network and, if they are the best weights, that they are."""
        best = ["best"] if self.checkpoint == "best" else []
        return [self.stage_name, self.network, *best]

    def path(self, run):
        """Returns the file."""
        if self.stage is None:
            return pathlib.Path(run.config.backbone.init_from)
        return run.stage_folder(self.stage).weights(self.network, self.checkpoint)

    def digest(self, run):
        """Returns the SHA-256 of the file."""
        return digest_of(self.path(run))

    def load(self, run, classifier):
        """Loads the weights to predict with; see `logit_adjustment`."""
        if self.stage is None:
            load_file(run, classifier, head="keep")
        else:
            load_weights(classifier, self.path(run))
        adjust_logits(run, classifier)


def kept_by(run, source, network=None):
    """Returns the `Kept` of a `Source`: a network that a stage hands on, or a file."""
    if source.file:
        return Kept(None, pathlib.Path(source.file).name)
    return Kept(source.stage, network, chosen_checkpoint(run, source.stage))


def check_answer(run, stage):
    """Refuses a classifier that cannot be built, or a file that does not fit it."""
    with input_errors():
        classifier, source = run.classifier(), starting_weights(run, stage)
        if source.file:
            kept_by(run, source).load(run.quiet(), classifier)
