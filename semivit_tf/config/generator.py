"""Settings of the generator, and of the images that it makes."""

import dataclasses

from semivit_tf.config.settings import InputError, Settings, setting
from semivit_tf.config.training import TrainingSettings, batch_size, published

SOLVERS = (
    "ddim",
    "dpm_solver_2",
    "dpm_solver_3",
    "dpm_solver_fast",
    "dpm_solver_pp_1",
    "dpm_solver_pp_2",
    "dpm_solver_pp_3",
    "dpm_solver_pp_fast",
    "dpm_solver_pp_2m",
    "edm_heun",
    "ancestral",
    "euler_maruyama",
)


@dataclasses.dataclass(frozen=True)
class GeneratorConfig(TrainingSettings):
    """A diffusion model, a U-ViT, learns images and their pseudo labels."""

    prefix = "generator_"

    patch_size: int | None = setting(
        None, "Pixels of a patch's side; default: what fits the images.", low=1
    )
    width: int = setting(96, "Channels of a token.", low=2)
    depth: int = setting(4, "Blocks besides the middle one.", low=2)
    heads: int = setting(4, "Attention heads.", low=1)
    final_convolution: bool = setting(
        True, "Smooth over the borders of patches by a 3x3 convolution."
    )
    encoder: str | None = setting(
        None,
        "File of a Keras model from images in [-1, 1] to latents or their moments, "
        "which are learned in place of images; default: images are learned.",
    )
    decoder: str | None = setting(
        None, "File of a Keras model from latents to images in [-1, 1]."
    )
    latent_scale: float | None = setting(
        None,
        "What latents are multiplied by before they are learned, so that their "
        "deviation is about 1; default: 0.18215, as in latent diffusion.",
        low=1e-9,
    )
    prediction: str | None = published(
        "noise",
        "What the network predicts; v, the velocity, takes fewer updates.",
        choices=("noise", "v"),
    )
    label_dropout: float = setting(
        0.15,
        "How often an image is shown without its class; guidance needs it.",
        low=0.0,
        high=0.99,
    )
    ema_momentum: float | None = published(
        0.9999,
        "Momentum of the average of the weights, which generates, in the end.",
        low=0.0,
        high=1.0,
    )
    epochs: int | None = published(240, "Passes over all training images.", low=1)
    batch_size: int | None = batch_size("generator", "Images in a step")
    base_learning_rate: float | None = published(
        5e-5, "Peak learning rate for a batch of 256.", low=0.0
    )
    minimum_learning_rate: float | None = published(
        2e-4, "Learning rate at the end; published: that of the peak.", low=0.0
    )
    warmup_epochs: float | None = published(4.0, "Epochs of linear warm-up.", low=0.0)
    weight_decay: float = setting(0.03, "Decoupled weight decay, of all.", low=0.0)
    beta_1: float = setting(0.9, "AdamW's memory of gradients.", low=0.0, high=1.0)
    beta_2: float = setting(
        0.99, "AdamW's memory of squared gradients.", low=0.0, high=1.0
    )

    def __post_init__(self):
        super().__post_init__()
        if bool(self.encoder) != bool(self.decoder):
            given = "encoder" if self.encoder else "decoder"
            other = "decoder" if self.encoder else "encoder"
            raise InputError(
                f"--{self.flag(given)} should come with --{self.flag(other)}: one "
                "makes latents of images, the other images of latents"
            )
        if self.latent_scale is not None and not self.encoder:
            raise InputError(
                f"--{self.flag('latent_scale')} is of latents: it needs "
                f"--{self.flag('encoder')} and --{self.flag('decoder')}"
            )


@dataclasses.dataclass(frozen=True)
class GenerateConfig(Settings):
    """The generator makes images of each class."""

    prefix = "generate_"

    images_per_class: int = setting(128, "Images of each class.", low=0)
    guidance: float = setting(
        0.4, "How far images are pushed towards their class; 0: not.", low=-1.0
    )
    solver: str = setting("dpm_solver_pp_2m", "Solver.", choices=SOLVERS)
    steps: int = setting(20, "Steps of the solver.", low=1)
    batch_size: int = setting(
        64, "Images that go through the network at once; twice with guidance.", low=1
    )
    folders: bool = setting(
        False,
        "Also write the images as PNG files, a folder for each class, as "
        "--dataset=folder reads them.",
        identity=False,
    )
