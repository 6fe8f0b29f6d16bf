"""The ways to use labels that a sweep compares."""

import dataclasses

from semivit_tf.config.sweep import FINETUNE, SEMI_FINETUNE


@dataclasses.dataclass(frozen=True)
class Way:
    """One way: a network, and what it is after which stage.

    Attributes:
        title: String. What tables and plots call it.
        network: `"vit"`, the network of the flags, or `"cnn"`, the second one.
        stage: Name of the stage whose classifier counts, or None: frozen features.
        times: Integer. How many times the labels it gets.
        kept_as: Optional name of the way that is the same with so many labels.
    """

    title: str
    network: str
    stage: str | None
    times: int = 1
    kept_as: str | None = None


WAYS = {
    "probe": Way("ViT, frozen, linear probe", "vit", None),
    "vit": Way("ViT, fine-tuned", "vit", FINETUNE),
    "vit_twice": Way("ViT, fine-tuned, twice the labels", "vit", FINETUNE, 2, "vit"),
    "semi_vit": Way("Semi-ViT", "vit", SEMI_FINETUNE),
    "cnn_probe": Way("CNN, frozen, linear probe", "cnn", None),
    "cnn": Way("CNN, fine-tuned", "cnn", FINETUNE),
    "semi_cnn": Way("CNN, semi-supervised", "cnn", SEMI_FINETUNE),
}


def place_of(way, labels):
    """Returns under which number of labels and which way results are kept."""
    found = WAYS[way]
    return labels * found.times, found.kept_as or way
