"""How far are the views of one image apart, as student and teacher see them?

Letters: G views that the teacher sees, V views that the student sees, of which the
first G are the same.
"""

import numpy as np
from keras import ops


def centered_probabilities(logits, center, temperature):
    """Returns the teacher's distributions; no gradient flows.

    Args:
        logits: Float tensor `[..., K]`.
        center: Float tensor `[K]`, taken off first.
        temperature: Float. Small ones sharpen.

    Returns:
        Float32 tensor `[..., K]`.
    """
    centered = ops.cast(logits, "float32") - ops.cast(center, "float32")
    return ops.stop_gradient(ops.softmax(centered / temperature, axis=-1))


def other_view_pairs(teacher_views, student_views):
    """Returns the mask `[G, V]`: 1 for pairs of two different views."""
    return 1.0 - np.eye(teacher_views, student_views, dtype="float32")


def view_cross_entropy(teacher_probabilities, student_logits, temperature):
    """Computes the cross-entropy of every view of the student against the teacher's.

    Args:
        teacher_probabilities: Float tensor `[B, G, K]`.
        student_logits: Float tensor `[B, V, K]`.
        temperature: Float, of the student.

    Returns:
        Float32 tensor `[B, G, V]`; multiply by `other_view_pairs`, as no view should
        learn from itself.
    """
    scaled = ops.cast(student_logits, "float32") / temperature
    log_probabilities = ops.log_softmax(scaled, axis=-1)
    return -ops.einsum("bgk,bvk->bgv", teacher_probabilities, log_probabilities)


def entropy(probabilities):
    """Returns the entropy `[...]` of distributions `[..., K]`, in nats."""
    # What has underflowed to zero adds nothing.
    logarithms = ops.log(ops.maximum(probabilities, 1e-30))
    return -ops.sum(probabilities * logarithms, axis=-1)
