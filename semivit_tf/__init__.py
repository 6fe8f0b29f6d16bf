"""Semi-supervised image classification with Vision Transformers, in Keras 3.

Names are imported when they are first used: importing TensorFlow takes seconds, and
`python main.py --help` should not.
"""

import importlib

__version__ = "0.1.0"

_PUBLIC = {
    "AveragedClassifier": "semivit_tf.methods.averaged_classifier",
    "Classifier": "semivit_tf.methods.classifier",
    "Conformer": "semivit_tf.backbones.conformer",
    "ConvNeXt": "semivit_tf.backbones.convnext",
    "DINO": "semivit_tf.methods.dino",
    "Denoiser": "semivit_tf.methods.denoiser",
    "EMATeacher": "semivit_tf.methods.ema_teacher",
    "FixMatch": "semivit_tf.methods.fixmatch",
    "FlexMatch": "semivit_tf.methods.flexmatch",
    "FreeMatch": "semivit_tf.methods.freematch",
    "MAE": "semivit_tf.methods.mae",
    "MeanTeacher": "semivit_tf.methods.mean_teacher",
    "PiModel": "semivit_tf.methods.pi_model",
    "PseudoLabel": "semivit_tf.methods.pseudo_label",
    "SemiMAE": "semivit_tf.methods.semi_mae",
    "ResNet": "semivit_tf.backbones.resnet",
    "SemiSupervised": "semivit_tf.methods.semi_supervised",
    "SemiViT": "semivit_tf.methods.semi_vit",
    "SoftMatch": "semivit_tf.methods.softmatch",
    "Supervised": "semivit_tf.methods.supervised",
    "UDA": "semivit_tf.methods.uda",
    "Semiformer": "semivit_tf.methods.semiformer",
    "TwoStreamClassifier": "semivit_tf.methods.two_stream_classifier",
    "ViT": "semivit_tf.backbones.vit",
    "WideResNet": "semivit_tf.backbones.resnet",
    "create_backbone": "semivit_tf.backbones",
    "export_saved_model": "semivit_tf.export.saved_model",
    "load_dataset": "semivit_tf.data.dataset",
    "load_latents": "semivit_tf.methods.load_latents",
    "pair_datasets": "semivit_tf.data.pairing",
}
_ROOMS = (
    "augment",
    "backbones",
    "config",
    "data",
    "diffusion",
    "evaluation",
    "export",
    "layers",
    "losses",
    "methods",
    "stages",
    "training",
    "weights",
)

__all__ = sorted([*_PUBLIC, *_ROOMS])


def __getattr__(name):
    if name in _PUBLIC:
        return getattr(importlib.import_module(_PUBLIC[name]), name)
    if name in _ROOMS:
        return importlib.import_module(f"semivit_tf.{name}")
    raise AttributeError(f"module 'semivit_tf' has no attribute {name!r}")


def __dir__():
    return [*__all__, "__version__"]
