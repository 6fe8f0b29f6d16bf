"""The committed files of small networks, and files written by hand."""

import io
import pathlib
import pickle
import struct
import zipfile

import numpy as np

from semivit_tf.weights.checkpoint_file import open_checkpoint
from semivit_tf.weights.torch_file import MAGIC

FIXTURES = pathlib.Path(__file__).parent / "fixtures"


def expected():
    """What PyTorch answered, and was asked; see published_weights.py --fixtures."""
    with np.load(FIXTURES / "expected.npz", allow_pickle=False) as file:
        return dict(file)


def arrays_of(file):
    """The arrays of a file by name."""
    with open_checkpoint(FIXTURES / file) as opened:
        (arrays,) = opened.networks.values()
        return {name: np.array(array.read()) for name, array in arrays.items()}


def zipped(program, storages=(), folder="archive"):
    """A file as `torch.save` writes it, of a pickle and of storages by their keys."""
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w") as archive:
        archive.writestr(f"{folder}/data.pkl", program)
        for key, content in dict(storages).items():
            archive.writestr(f"{folder}/data/{key}", content)
    return stream.getvalue()


def legacy(program, storages=()):
    """The same from before PyTorch 1.6; the storages are `(count, bytes)`."""
    system = {"protocol_version": 1001, "little_endian": True, "type_sizes": {}}
    parts = [pickle.dumps(part, 2) for part in (MAGIC, 1001, system)]
    parts += [program, pickle.dumps(list(dict(storages)), 2)]
    for count, content in dict(storages).values():
        parts.append(struct.pack("<q", count) + content)
    return b"".join(parts)


class Called:
    """Pickles as the call of a function, whatever it is."""

    def __init__(self, function, *arguments):
        self.call = function, arguments

    def __reduce__(self):
        return self.call


def tensor_program(
    shape="(I2\nI3\nt",
    strides="(I3\nI1\nt",
    offset="I0\n",
    kind="FloatStorage",
    count="I6\n",
    key="0",
):
    """A pickle of {"x": tensor}, its parts being instructions of protocol 0."""
    reference = f"(S'storage'\nctorch\n{kind}\nS'{key}'\nS'cpu'\n{count}tQ"
    call = f"ctorch._utils\n_rebuild_tensor_v2\n({reference}{offset}{shape}{strides}"
    return f"(dS'x'\n{call}I00\nccollections\nOrderedDict\n)RtRs.".encode()
