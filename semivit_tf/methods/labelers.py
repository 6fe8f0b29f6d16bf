"""Whose answers to the weak views become the pseudo labels: one of these networks'.

`SemiSupervised.label` makes probabilities of their scores, and `targets` makes labels
of these. No labeler changes the batch statistics of a network.
"""

from semivit_tf.methods.batch_statistics import with_statistics_kept


def teacher(method, images):
    """The moving average of the student, in inference mode."""
    return method.teacher.scores(images, training=False)


def student(method, images):
    """The student itself, in inference mode."""
    return method.student.scores(images, training=False)


def student_in_training(method, images):
    """The student as it trains, with drop path."""
    student = method.student
    return with_statistics_kept(student, lambda: student.scores(images, training=True))


# From a method and images to scores `[U, S, K]`.
LABELERS = {
    "teacher": teacher,
    "student": student,
    "student_in_training": student_in_training,
}
