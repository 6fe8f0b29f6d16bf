"""Whose answers to the weak views become the pseudo labels: one of these networks'.

`SemiSupervised.label` makes probabilities of their scores, and `targets` makes labels
of these. No labeler changes the batch statistics of a network.
"""

from keras import ops

from semivit_tf.methods.batch_statistics import with_statistics_kept


def teacher(method, images):
    """The moving average of the student, in inference mode."""
    return method.teacher.scores(images, training=False)


def student(method, images):
    """The student itself, in inference mode; of two streams the mean of logits."""
    return method.student.scores(images, training=False)


def student_in_training(method, images):
    """The student as it trains, with drop path."""
    student = method.student
    return with_statistics_kept(student, lambda: student.scores(images, training=True))


def convolutional(method, images):
    """The student's convolutional head alone, in inference mode."""
    return student(method, images)[:, :1]


def transformer(method, images):
    """The student's transformer head alone, in inference mode."""
    return student(method, images)[:, 1:]


def mean_probability(method, images):
    """The mean of both heads' probabilities, in inference mode."""
    probabilities = ops.softmax(student(method, images), axis=-1)
    return ops.log(ops.mean(probabilities, axis=1, keepdims=True) + 1e-30)


# From a method and images to scores `[U, S, K]`.
LABELERS = {
    "teacher": teacher,
    "student": student,
    "student_in_training": student_in_training,
    "convolutional": convolutional,
    "transformer": transformer,
    "mean_probability": mean_probability,
}
_OF_TWO_STREAMS = ("convolutional", "transformer", "mean_probability")


def check_labeler(name, student):
    """Refuses a name that is no labeler's, or that the student has no streams for."""
    if name not in LABELERS:
        raise ValueError(
            f"`labeler` should be one of: {', '.join(LABELERS)}. Received: {name!r}"
        )
    if name in _OF_TWO_STREAMS and not student.streams:
        backbone = type(student.backbone).__name__
        raise ValueError(
            f'`labeler="{name}"` needs a backbone of two streams, such as '
            f"semiformer_small. Received: {backbone}"
        )
