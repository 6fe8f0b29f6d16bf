"""Classification by a vote of the most similar labelled images."""

import numpy as np
import tensorflow as tf

PUBLISHED_COUNTS = (10, 20, 100, 200)
_CHUNK = 1024


def _unit_length(features):
    return tf.math.l2_normalize(tf.cast(features, tf.float32), axis=1)


def vote_of_neighbors(
    known, labels, queries, num_classes, count, temperature=0.07, chunk=_CHUNK
):
    """Returns the classes `[M]` that the nearest neighbours of queries vote for.

    A neighbour's vote weighs exp(cosine similarity / temperature).

    Args:
        known: Float array `[N, D]` of features.
        labels: Integer array `[N]` of their classes.
        queries: Float array `[M, D]`; None for the known ones themselves, each of which
            then does not vote for itself.
        num_classes: Integer.
        count: Integer. Neighbours that vote; all if there are fewer.
        temperature: Float.
        chunk: Integer. Queries compared at a time.

    Reference:
        Wu et al., Unsupervised Feature Learning via Non-Parametric Instance
        Discrimination, 2018.
    """
    alone = queries is None
    known = _unit_length(known)
    queries = known if alone else _unit_length(queries)
    labels = tf.constant(labels, tf.int32)
    count = min(count, len(known) - alone)
    classes = []
    for start in range(0, len(queries), chunk):
        similarity = tf.matmul(queries[start : start + chunk], known, transpose_b=True)
        if alone:
            places = tf.range(start, start + len(similarity))
            itself = tf.one_hot(places, len(known), on_value=np.inf, off_value=0.0)
            similarity -= itself
        nearest, places = tf.math.top_k(similarity, count)
        # Scaled so that the largest weight is 1 and nothing overflows.
        weights = tf.exp((nearest - nearest[:, :1]) / temperature)
        voted = tf.one_hot(tf.gather(labels, places), num_classes)
        classes.append(tf.argmax(tf.einsum("qn,qnk->qk", weights, voted), axis=1))
    return np.concatenate([part.numpy() for part in classes])
