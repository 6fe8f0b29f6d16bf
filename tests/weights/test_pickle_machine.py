"""Pickles are read, and never run."""

import collections
import functools
import io
import operator
import os
import pathlib
import pickle
import subprocess

import numpy as np
import pytest

from semivit_tf.weights import pickle_machine
from semivit_tf.weights.pickle_machine import PickleMachine
from semivit_tf.weights.torch_tensor import NAMES
from semivit_tf.weights.weights_error import WeightsError
from tests.weights.files import Called


def read(program, names=NAMES, persistent=None):
    return PickleMachine(names, persistent).read(io.BytesIO(program))


PLAIN = {
    "numbers": [0, 1, 255, 256, -1, 2**31, -(2**70), 0.25, True, False, None],
    "words": ["", "a", "é", b"", b"ab", "x" * 300],
    "nested": {"a": [(), (1,), (1, 2), (1, 2, 3), (1, 2, 3, 4)], 3: {}, None: []},
}


@pytest.mark.parametrize("protocol", range(6))
def test_plain_data_of_every_protocol(protocol):
    # Before protocol 3, bytes are written as a call.
    names = {"_codecs.encode": lambda text, _: text.encode("latin1")}
    names |= {"__builtin__.bytes": lambda *_: b"", "builtins.bytes": lambda *_: b""}
    assert read(pickle.dumps(PLAIN, protocol), names) == PLAIN


def test_what_is_shared_stays_shared():
    inner = [1]
    found = read(pickle.dumps({"a": inner, "b": inner}, 2))
    assert found["a"] is found["b"]


CALLS = {
    "os.system": lambda canary: Called(os.system, f"touch {canary}"),
    "Popen": lambda canary: Called(subprocess.Popen, ["touch", canary]),
    "eval": lambda canary: Called(eval, f"open({canary!r}, 'w')"),
    "exec": lambda canary: Called(exec, f"open({canary!r}, 'w')"),
    "open": lambda canary: Called(open, canary, "w"),
    "import": lambda canary: Called(__import__, "os"),
    "getattr": lambda canary: Called(getattr, {}, "clear"),
    "attrgetter": lambda canary: Called(operator.attrgetter, "system"),
    "partial": lambda canary: functools.partial(os.system, f"touch {canary}"),
    "numpy": lambda canary: Called(np.save, canary, 1),
    "path": lambda canary: Called(pathlib.Path(canary).touch),
    "getattr of getattr": lambda canary: Called(
        getattr, Called(getattr, Called(__import__, "os"), "path"), "os"
    ),
}


@pytest.mark.parametrize("protocol", range(6))
@pytest.mark.parametrize("name", CALLS)
def test_calls_are_refused_and_nothing_runs(tmp_path, name, protocol):
    canary = tmp_path / "canary"
    thing = {"weights": [1], "model": CALLS[name](str(canary))}
    with pytest.raises(WeightsError, match="asks for .*so nothing of it was run"):
        read(pickle.dumps(thing, protocol))
    assert not canary.exists()


@pytest.mark.parametrize("name", ["os.system", "eval", "exec", "open", "numpy"])
def test_python_itself_would_run_them(tmp_path, name):
    """The canary of the test above is not blind."""
    canary = tmp_path / "canary.npy"
    pickle.loads(pickle.dumps(CALLS[name](str(canary))))
    assert canary.exists()


def test_calls_inside_of_allowed_calls_are_refused(tmp_path):
    canary = tmp_path / "canary"
    inner = Called(os.system, f"touch {canary}")
    for outer in (
        collections.OrderedDict(a=inner),
        {"a": [({"b": inner},)]},
        Called(collections.OrderedDict, inner),
    ):
        with pytest.raises(WeightsError, match="system"):
            read(pickle.dumps(outer, 2))
    assert not canary.exists()


@pytest.mark.parametrize(
    "program, message",
    [
        (b"cos\nsystem\n.", "asks for 'os.system'"),
        (b"\x8c\x02os\x8c\x06system\x93.", "asks for 'os.system'"),
        (b"c" + b"a" * 5000 + b"\nb\n.", r"asks for 'a{80}\.\.\.'"),
        (b"(ios\nsystem\n.", "uses INST"),
        (b"(cos\nsystem\no.", "asks for 'os.system'"),
        (b"(ctorch\nFloatStorage\no.", "uses OBJ"),
        (b"\x82\x01.", "uses EXT1"),
        (b"\x8f.", "uses EMPTY_SET"),
        (b"N2.", "uses DUP"),
        (b"I1\nQ.", "refers to data that is not in it"),
        (b"Pname\n.", "uses PERSID"),
        (b"NN\x85R.", "calls what is no function"),
        (b"ctorch\nFloatStorage\n)R.", "calls what is no function"),
        (b"ccollections\nOrderedDict\nNR.", "calls what is no function"),
        (b"ccollections\nOrderedDict\n}b.", "sets attributes"),
        (b"ctorch.nn\nLinear\n)\x81.", "asks for 'torch.nn.Linear'"),
        (b"]}b.", "sets attributes"),
        (b"}Na.", "appends to what is no list"),
        (b"]NNs.", "sets items of what is no dict"),
        (b"}(Nu.", "sets items of what is no dict"),
        (b"})Ns.", "keys are not plain"),
        (b"}]Ns.", "keys are not plain"),
        (b"h\x07.", "is damaged"),
        (b"q\x07.", "is damaged"),
        (b"(q\x07.", "is damaged"),
        (b"t.", "is damaged"),
        (b"0.", "is damaged"),
        (b".", "is damaged"),
        (b"NN.", "is damaged"),
        (b"(.", "is damaged"),
        (b"N", "is damaged"),
        (b"", "is damaged"),
        (b"\xff.", "is damaged"),
        (b"NN\x93.", "is damaged"),
        (b"Inone\n.", "is damaged"),
        (b"I" + b"9" * 10_000 + b"\n.", "is damaged"),
    ],
)
def test_programs_by_hand(program, message):
    with pytest.raises(WeightsError, match=message):
        read(program)


def test_claims_of_size_take_no_memory():
    """Numbers in front of nothing: gigabytes of text, and of places in the memo."""
    assert read(b"N\x94Nr\xff\xff\xff\xff0.") is None
    for program in (
        b"X\xff\xff\xff\x7fabc.",
        b"\x8d" + b"\xff" * 7 + b"\x7fabc.",
        b"\x8e" + b"\xff" * 7 + b"\x7fabc.",
        b"\x8b\xff\xff\xff\x7fabc.",
        b"\x8b\xff\xff\xff\xffabc.",
    ):
        with pytest.raises(WeightsError, match="is damaged"):
            read(program)


def test_the_number_of_instructions_is_bounded(monkeypatch):
    monkeypatch.setattr(pickle_machine, "MOST_WORK", 100)
    assert read(b"N0" * 49 + b"N.") is None
    with pytest.raises(WeightsError, match="too many instructions"):
        read(b"N0" * 50 + b"N.")


def test_what_functions_are_given_again_and_again_is_counted(monkeypatch):
    """A list of ten, remembered, and a function called with it six times."""
    monkeypatch.setattr(pickle_machine, "MOST_WORK", 100)
    machine = PickleMachine({"a.f": lambda things: len(things)})
    ten = b"(" + b"N" * 10 + b"lq\x000"
    call = b"ca\nf\nh\x00\x85R"
    assert machine.read(io.BytesIO(ten + call + b".")) == 10
    with pytest.raises(WeightsError, match="too many instructions"):
        machine.read(io.BytesIO(ten + (call + b"0") * 6 + b"N."))


@pytest.mark.parametrize("wrap", [b"\x85", b"la", b"\x85q\x01h\x01\x86"])
def test_deep_nesting_does_not_crash(wrap):
    """Tens of thousands of containers inside each other, made and let go."""
    if wrap == b"la":
        program = b"(l" * 60_000 + b"a" * 59_999 + b"."
    else:
        program = b")" + wrap * 60_000 + b"."
    read(program)
    with pytest.raises(WeightsError, match="keys are not plain"):
        read(b"}" + program[:-1] + b"Ns.")


def test_functions_of_others_cannot_be_changed():
    before = dict(vars(NAMES["collections.OrderedDict"]))
    with pytest.raises(WeightsError, match="sets attributes"):
        read(b"ccollections\nOrderedDict\nN}S'__defaults__'\n)s\x86b.")
    assert vars(NAMES["collections.OrderedDict"]) == before
