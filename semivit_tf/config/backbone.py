"""Settings of the network that turns images into features."""

import dataclasses

from semivit_tf.config.settings import InputError, Settings, setting


def whole_numbers(flag, text):
    """Returns the numbers of a text such as `"2,2,6,2"` as a tuple."""
    parts = [part.strip() for part in text.split(",")]
    if not all(part.isdecimal() and int(part) > 0 for part in parts):
        raise InputError(
            f"--{flag} should be positive whole numbers with commas between them. "
            f"Received: {text!r}"
        )
    return tuple(int(part) for part in parts)


_TWO_STREAMS = ("patch_size", "width", "heads", "depths", "widths")
AUTO = "auto"  # the backbone that follows from images and device


@dataclasses.dataclass(frozen=True)
class BackboneConfig(Settings):
    """Which network turns images into features."""

    backbone: str = setting(
        AUTO,
        "vit, convnext, resnet, wide_resnet, conformer, semiformer, a published size "
        "such as vit_base_patch16, resnet50 or semiformer_small, "
        "keras_applications:<name>, such as keras_applications:ResNet50V2, or "
        "keras_hub:<preset>, a name or a folder, or keras:<file.keras>, a saved model; "
        "auto: a ViT that fits the images.",
        first=True,
    )
    patch_size: int | None = setting(
        None, "ViT, two streams: pixels on a side of a patch.", low=1
    )
    width: int | None = setting(None, "ViT, two streams: channels of a token.", low=1)
    depth: int | None = setting(None, "ViT: number of transformer blocks.", low=1)
    heads: int | None = setting(None, "ViT, two streams: attention heads.", low=1)
    registers: int | None = setting(
        None,
        "ViT: learned tokens that belong to no patch; DINOv2 has 0 or 4.",
        low=0,
    )
    pooling: str | None = setting(
        None,
        "ViT, KerasHub: features from all patches or the first token; stage 1 by dino "
        "always takes the first token.",
        choices=("mean", "class_token"),
    )
    position_embedding: str | None = setting(
        None,
        "ViT: position table; default: learned; stage 1 by mae always has sincos. "
        "Semiformer: default: none.",
        choices=("learned", "sincos"),
    )
    depths: str | None = setting(
        None, "Not ViT: blocks of each stage, with commas, as in 3,3,9,3."
    )
    widths: str | None = setting(
        None, "Not ViT: channels of each stage, as in 96,192,384,768."
    )
    stem_patch: int | None = setting(
        None, "ConvNeXt: pixels on a side of the stem's patch; default: 4.", low=1
    )
    stem_width: int | None = setting(
        None, "Residual networks, two streams: channels of the stem.", low=1
    )
    stem_stride: int | None = setting(
        None,
        "ResNet, two streams: 4 for photographs, 1 or 2 for small images; default: 4.",
        low=1,
    )
    conv_stream: str | None = setting(
        None,
        "Semiformer: the convolutional stream; default: resnet.",
        choices=("resnet", "conv_mixer"),
    )
    separate: bool = setting(
        False, "Semiformer: the two streams tell each other nothing."
    )
    synchronized: bool = setting(
        False, "Batch norm: replicas normalise by the images of all of them."
    )
    pixel_scaling: str | None = setting(
        None,
        "Saved model: what it expects in place of pixels up to 255: those (own), 0 to "
        "1 (unit), -1 to 1 (signed), or normalised ones (imagenet); default: own, if "
        "it has a layer that scales.",
        choices=("own", "unit", "signed", "imagenet"),
    )
    rematerialize: bool = setting(
        False,
        "ViT: compute each block twice in training instead of keeping all that is in "
        "it.",
        identity=False,
    )
    init_from: str | None = setting(
        None,
        "File of weights that the first training stage starts from, or where nothing "
        "is trained, that are tested and served: .pth, .safetensors or .npz, as "
        "published.",
        first=True,
    )
    init_network: str | None = setting(
        None,
        "Which network of that file, by its key, such as student; default: the one "
        "that predicts best.",
    )
    init_source_grid: str | None = setting(
        None,
        "Rows and columns of that file's position table, as in 14,14, where its length "
        "does not say them.",
    )
    init_allow_missing: bool = setting(
        False, "Leave weights that the file does not hold as they are at the start."
    )
    init_allow_unexpected: bool = setting(
        False, "Leave out weights of the file that nothing knows."
    )

    def __post_init__(self):
        super().__post_init__()
        told = self.init_options()
        if told and self.init_from is None:
            raise InputError(f"--init_{next(iter(told))} needs --init_from")
        if self.backbone == AUTO and self.init_from is not None:
            raise InputError(
                "--init_from needs --backbone, such as vit_base_patch16: the network "
                "whose weights the file holds"
            )
        needed = {
            "vit": ("patch_size", "width", "depth", "heads"),
            "convnext": ("depths", "widths"),
            "resnet": ("depths", "widths"),
            "wide_resnet": ("depths", "widths"),
            "conformer": _TWO_STREAMS,
            "semiformer": _TWO_STREAMS,
        }
        sizes = needed.get(self.backbone, ())
        missing = [f"--{name}" for name in sizes if getattr(self, name) is None]
        if missing:
            raise InputError(
                f"--backbone={self.backbone} also needs {', '.join(missing)}"
            )
        self.overrides()

    def overrides(self):
        """Returns the constructor arguments that were given."""
        given = {f.name: getattr(self, f.name) for f in dataclasses.fields(self)}
        del given["backbone"]
        given = {n: v for n, v in given.items() if not n.startswith("init_")}
        given = {n: v for n, v in given.items() if v is not None and v is not False}
        for name in {"depths", "widths"} & set(given):
            given[name] = whole_numbers(name, given[name])
        return given

    def init_options(self):
        """Returns what was said of `init_from`, by the names of `load_published`."""
        given = {
            "network": self.init_network,
            "source_grid": self.init_source_grid,
            "allow_missing": self.init_allow_missing,
            "allow_unexpected": self.init_allow_unexpected,
        }
        given = {name: value for name, value in given.items() if value}
        if "source_grid" in given:
            grid = whole_numbers("init_source_grid", given["source_grid"])
            if len(grid) != 2:
                raise InputError(
                    "--init_source_grid should be rows and columns, as in 14,14. "
                    f"Received: {given['source_grid']!r}"
                )
            given["source_grid"] = grid
        return given
