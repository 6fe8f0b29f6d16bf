"""FixMatch and FreeMatch on a softmax regression, written in NumPy in double precision.

The same network for Keras is a backbone that only flattens pixels.
"""

import keras
import numpy as np

CLASSES = 4


def pixels(images):
    return images.reshape(len(images), -1).astype("float64") / 255


def backbone():
    images = keras.Input((8, 8, 1))
    flat = keras.layers.Rescaling(1 / 255)(keras.layers.Flatten()(images))
    return keras.Model(images, flat)


def softmax(logits):
    powers = np.exp(logits - logits.max(axis=1, keepdims=True))
    return powers / powers.sum(axis=1, keepdims=True)


def normalized(values):
    return values / values.sum()


def ratio(values, shares):
    return np.divide(values, shares, out=np.zeros_like(values), where=shares > 0)


class SoftmaxRegression:
    """Learns by plain gradient descent, with gradients worked out by hand."""

    def __init__(self, kernel, bias, rate):
        self.kernel = kernel.astype("float64")
        self.bias = bias.astype("float64")
        self.rate = rate

    def probabilities(self, images):
        return softmax(pixels(images) @ self.kernel + self.bias)

    def cross_entropy(self, images, labels, weight):
        """Returns losses, and the gradient of their mean for each image's logits."""
        found, truth = self.probabilities(images), np.eye(CLASSES)[labels]
        losses = -np.log((found * truth).sum(axis=1))
        return losses * weight, (found - truth) * weight[:, None] / len(images)

    def descend(self, images, logit_gradients):
        """Takes a step along the sum of several groups of images."""
        flat = [pixels(group) for group in images]
        pairs = list(zip(flat, logit_gradients, strict=True))
        self.kernel -= self.rate * sum(x.T @ gradient for x, gradient in pairs)
        self.bias -= self.rate * sum(gradient.sum(axis=0) for _, gradient in pairs)

    def step(self, batch, selection, fairness_weight=0.0):
        """Takes a step; returns what is logged."""
        views, labels = batch
        given = self.probabilities(views["weak"])
        weight = selection(given)
        x_losses, x_gradients = self.cross_entropy(
            views["image"], labels, np.ones(len(labels))
        )
        u_losses, u_gradients = self.cross_entropy(
            views["strong"], given.argmax(axis=1), weight
        )
        logs = {
            "labeled_loss": x_losses.mean(),
            "unlabeled_loss": u_losses.mean(),
            "kept": weight.mean(),
        }
        logs["loss"] = logs["labeled_loss"] + logs["unlabeled_loss"]
        if fairness_weight:
            loss, gradients = self.fairness(views["strong"], weight, selection)
            logs["fairness_loss"] = loss
            logs["loss"] += fairness_weight * loss
            u_gradients = u_gradients + fairness_weight * gradients
        self.descend((views["image"], views["strong"]), (x_gradients, u_gradients))
        return logs

    def fairness(self, images, weight, selection):
        """Returns the loss, and its gradient with respect to each image's logits."""
        kept = weight > 0
        if not kept.any():
            return 0.0, np.zeros((len(images), CLASSES))
        found = self.probabilities(images)
        mean = found[kept].mean(axis=0)
        counts = np.bincount(found[kept].argmax(axis=1), minlength=CLASSES)
        share = counts / kept.sum()
        expected = normalized(ratio(selection.mean, selection.share))
        even = ratio(mean, share)
        loss = (expected * np.log(normalized(even) + 1e-12)).sum()
        # Through the logarithm, the normalisation, the division and the mean.
        of_even = expected / (normalized(even) + 1e-12)
        of_even = (of_even - (of_even * normalized(even)).sum()) / even.sum()
        of_mean = ratio(of_even, share) / kept.sum()
        inner = (found * of_mean).sum(axis=1, keepdims=True)
        return loss, kept[:, None] * found * (of_mean - inner)


class Fixed:
    """One threshold."""

    def __init__(self, threshold):
        self.threshold = threshold

    def __call__(self, probabilities):
        return (probabilities.max(axis=1) >= self.threshold).astype("float64")


class SelfAdaptive:
    """FreeMatch's thresholds."""

    def __init__(self, momentum):
        self.momentum = momentum
        self.confidence = 1 / CLASSES
        self.mean = np.full(CLASSES, 1 / CLASSES)
        self.share = np.full(CLASSES, 1 / CLASSES)

    def __call__(self, probabilities):
        m, labels = self.momentum, probabilities.argmax(axis=1)
        largest = probabilities.max(axis=1)
        counted = np.bincount(labels, minlength=CLASSES) / len(labels)
        self.confidence = m * self.confidence + (1 - m) * largest.mean()
        self.mean = m * self.mean + (1 - m) * probabilities.mean(axis=0)
        self.share = m * self.share + (1 - m) * counted
        return (largest >= self.thresholds()[labels]).astype("float64")

    def thresholds(self):
        return self.confidence * self.mean / self.mean.max()


def normalized_rows(values):
    return values / values.sum(axis=1, keepdims=True)
