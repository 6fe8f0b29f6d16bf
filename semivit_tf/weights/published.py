"""Loads published weights into a model."""

import os
from collections.abc import Sequence

import keras

from semivit_tf.weights.checkpoint_file import NETWORKS, WHOLE, open_checkpoint
from semivit_tf.weights.coverage import Coverage, few
from semivit_tf.weights.matching import HEADS, match, read
from semivit_tf.weights.network import find_targets
from semivit_tf.weights.resizing import is_grid
from semivit_tf.weights.weights_error import WeightsError, blaming

# The key of the trained network, by that of its moving average.
TRAINED = {"model_ema": "model", "state_dict_ema": "state_dict"}


def load_published(
    model: keras.Model,
    path: str | os.PathLike,
    *,
    network: str = "auto",
    head: str = "auto",
    skip: str | Sequence[str] = (),
    source_grid: tuple[int, int] | None = None,
    allow_missing: bool | Sequence[str] = False,
    allow_unexpected: bool = False,
) -> Coverage:
    """Loads the weights of a published file, or of one of ours, into a model.

    Files of PyTorch (zip or legacy), safetensors and `.npz` are told apart by their
    first bytes; their weights may be named as by MAE, DINO, timm, DeiT, Semi-ViT,
    Hugging Face's transformers, the JAX release of ViT, or `save_weights`. No code of a
    file is run. Position tables and patch kernels of other sizes are resized. The model
    is changed only if everything fits.

    Args:
        model: A backbone, or a method with one. Student and teacher are both loaded.
        path: File.
        network: Which network of the file, by its key, such as `"model"` or
            `"student"`. `"auto"`: the best one, a moving average or teacher; but a
            student gets `model` if the teacher gets `model_ema`.
        head: `"keep"`: the linear head has to fit; `"drop"`: it is not loaded;
            `"auto"`: it is loaded if it fits.
        skip: Prefixes of weights of the model that are not loaded, as in
            `load_weights`.
        source_grid: Tuple `(rows, columns)` of the file's position table, where it
            cannot be told from its length.
        allow_missing: Bool. Whether the file may lack weights of the model. Or
            prefixes: it may lack all weights of a prefix, but not some of them.
        allow_unexpected: Bool. Whether the file may hold weights that no rule knows.

    Returns:
        A `Coverage`.

    Raises:
        WeightsError: If the file cannot be read or does not fit.
    """
    targets = find_targets(model)
    _check(targets, head, source_grid)
    skip = skip if isinstance(skip, str) else tuple(skip)
    arrays: dict = {}
    reports: dict = {}
    with blaming(path), open_checkpoint(path) as file:
        for role, target in targets.items():
            source = choose(file.networks, network, role)
            same = next((r for r in reports if reports[r].source == source), None)
            if same is not None:
                arrays[role], reports[role] = arrays[same], reports[same]
                continue
            found = match(target, file.networks[source], head, skip, file.normalized)
            _refuse(found, allow_missing, allow_unexpected)
            grid = source_grid or file.grid
            arrays[role], resized = _read_all(target, found, grid)
            reports[role] = _report(path, source, found, resized)
    _assign(targets, arrays)
    return _joined(reports)


def _check(targets, head, source_grid):
    if head not in HEADS:
        raise WeightsError(f"`head` should be one of: {HEADS}. Received: {head!r}")
    if source_grid is not None and not is_grid(source_grid):
        raise WeightsError(
            "`source_grid` should be two positive integers, rows and columns. "
            f"Received: {source_grid!r}"
        )
    if head == "keep" and not any(target.has_head for target in targets.values()):
        raise WeightsError('`head` should not be "keep" for a model without a head')


def choose(networks, wanted, role):
    """Returns the key of a file's network for a role: student, teacher, or neither."""
    if wanted != "auto":
        if wanted not in networks:
            raise WeightsError(
                f"`network`, --init_network, should be one of: {', '.join(networks)}. "
                f"Received: {wanted!r}"
            )
        return wanted
    best = next(key for key in (*NETWORKS, WHOLE) if key in networks)
    trained = TRAINED.get(best)
    return trained if role == "student" and trained in networks else best


def _refuse(found, allow_missing, allow_unexpected):
    prefixes = () if isinstance(allow_missing, bool) else tuple(allow_missing)
    absent = tuple(
        prefix
        for prefix in prefixes
        if not any(name.startswith(prefix) for name in found.sources)
    )
    missing = [name for name in found.missing if not name.startswith(absent)]
    if missing and allow_missing is not True:
        raise WeightsError(
            f"{len(missing)} weights of the model are missing: {few(missing)} "
            "(`allow_missing`, --init_allow_missing, leaves them as they are)"
        )
    if found.unexpected and not allow_unexpected:
        raise WeightsError(
            f"{len(found.unexpected)} weights are unexpected: {few(found.unexpected)} "
            "(`allow_unexpected`, --init_allow_unexpected, leaves them out)"
        )


def _read_all(target, found, source_grid):
    """Returns the arrays by our names, and the shapes of those that were resized."""
    resizers = target.naming.resizers(source_grid)
    arrays, resized = {}, {}
    for name, sources in found.sources.items():
        arrays[name], shape = read(target, name, sources, resizers.get(name))
        if shape is not None:
            resized[name] = (shape, arrays[name].shape)
    return arrays, resized


def _assign(targets, arrays):
    for role, target in targets.items():
        for name, array in arrays[role].items():
            target.weights[name].assign(array)


def _report(path, source, found, resized):
    return Coverage(
        path=str(path),
        source=source,
        loaded={
            name: tuple(published for _, published, _ in sources)
            for name, sources in found.sources.items()
        },
        resized=resized,
        dropped=found.dropped,
        fresh=found.fresh,
        missing=tuple(found.missing),
        unexpected=tuple(found.unexpected),
    )


def _joined(reports):
    """Returns the one report, or that of student and teacher together."""
    if list(reports) == [""]:
        return reports[""]
    sources = {role: report.source for role, report in reports.items()}
    ours = {
        field: {
            f"{role}/{name}": value
            for role, report in reports.items()
            for name, value in getattr(report, field).items()
        }
        for field in ("loaded", "resized", "fresh")
    }
    first, second = reports.values()
    return Coverage(
        path=first.path,
        source=", ".join(f"{role}: {source}" for role, source in sources.items()),
        **ours,
        dropped=first.dropped | second.dropped,
        missing=tuple(
            f"{r}/{n}" for r, report in reports.items() for n in report.missing
        ),
        unexpected=tuple(dict.fromkeys(first.unexpected + second.unexpected)),
    )
