"""Settings of a sweep: many runs, to see how many labels are needed."""

import dataclasses

from semivit_tf.config.backbone import whole_numbers
from semivit_tf.config.settings import InputError, Settings, setting

VIT_WAYS = ("probe", "vit", "vit_twice", "semi_vit")
CNN_WAYS = ("cnn_probe", "cnn", "semi_cnn")
# Those of the second network, unless its flags say otherwise.
CNN_STAGES = "check,finetune,semi_finetune,evaluate"

# The stages that runs of a sweep are made of.
CHECK, PRETRAIN, PROBE = "check", "pretrain", "probe"
FINETUNE, SEMI_FINETUNE, EVALUATE = "finetune", "semi_finetune", "evaluate"


@dataclasses.dataclass(frozen=True)
class SweepConfig(Settings):
    """A sweep over numbers of labels, seeds and ways to use them."""

    prefix = "sweep_"

    labels: str | None = setting(
        None,
        "Numbers of labels in each class, as in 4,8,16: a sweep, which runs all ways "
        "with all of them and all seeds, in place of one run.",
        identity=False,
        first=True,
    )
    seeds: str = setting("0,1,2", "Seeds of a sweep.", identity=False)
    ways: str | None = setting(
        None,
        f"What a sweep compares, of {','.join((*VIT_WAYS, *CNN_WAYS))}: a linear probe "
        "of frozen features, fine-tuning, with twice the labels, and the "
        "semi-supervised stage; default: all there are, those of a CNN with "
        "--sweep_cnn.",
        identity=False,
    )
    cnn: str | None = setting(
        None,
        'Flags of the second network of a sweep, as in "--backbone=convnext_tiny '
        '--init_from=FILE"; but for the network, the others are its flags as well.',
        identity=False,
        first=True,
    )
    cnn_from_scratch: bool = setting(
        False,
        "Let that network start without weights where the first one has some.",
        identity=False,
    )
    coarse: str | None = setting(
        None,
        "Table of coarse classes, CSV with the columns class and coarse: a sweep also "
        "says how often the coarse class is right.",
        identity=False,
    )

    def label_numbers(self):
        """Returns the numbers of labels in a class, ascending."""
        return tuple(sorted(set(whole_numbers("sweep_labels", self.labels))))

    def seed_numbers(self):
        """Returns the seeds, each once."""
        parts = [part.strip() for part in self.seeds.split(",")]
        if not all(part.isdecimal() for part in parts):
            raise InputError(
                "--sweep_seeds should be whole numbers with commas between them. "
                f"Received: {self.seeds!r}"
            )
        return tuple(dict.fromkeys(int(part) for part in parts))

    def way_names(self):
        """Returns the names of the ways that are compared, in the usual order."""
        there = (*VIT_WAYS, *(CNN_WAYS if self.cnn is not None else ()))
        if self.ways is None:
            return there
        asked = [name.strip() for name in self.ways.split(",")]
        unknown = [name for name in asked if name not in there]
        if unknown:
            raise InputError(
                f"--sweep_ways should be of: {', '.join(there)}; those of a CNN need "
                f"--sweep_cnn. Received: {self.ways!r}"
            )
        return tuple(name for name in there if name in asked)

    def __post_init__(self):
        super().__post_init__()
        if self.labels is not None:
            self.label_numbers(), self.seed_numbers(), self.way_names()
