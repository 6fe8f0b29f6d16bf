"""One loss of networks that give several scores: the mean over their streams."""


def mean_over_streams(loss, targets, scores):
    """Returns the loss `[B]` of scores `[B, S, K]`, averaged over the S streams.

    Args:
        loss: Function of targets `[B, K]` and scores `[B, K]` to losses `[B]`.
        targets: Float tensor `[B, K]`.
        scores: Float tensor `[B, S, K]`.
    """
    streams = scores.shape[1]
    return sum(loss(targets, scores[:, number]) for number in range(streams)) / streams
