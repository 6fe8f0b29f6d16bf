"""Statistics that a network gathers of batches, as batch norm does."""

from keras import ops

_NAMES = ("moving_mean", "moving_variance")


def batch_statistics(network):
    """Returns the list of a network's running statistics, empty without batch norm."""
    return [weight for weight in network.weights if weight.name in _NAMES]


def with_statistics_kept(network, function):
    """Returns what a function returns, and takes back what it did to the statistics.

    Args:
        network: `keras.Model`.
        function: Without arguments; it may run the network as it trains.
    """
    kept = [(weight, ops.copy(weight)) for weight in batch_statistics(network)]
    result = function()
    for weight, value in kept:
        weight.assign(value)
    return result
