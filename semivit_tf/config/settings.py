"""A setting: a dataclass field with a sentence of help and its own check."""

import dataclasses
import functools
import math
import typing


class InputError(ValueError):
    """What a person gave cannot be used; the message is one line and says why."""


def setting(
    default,
    help,
    *,
    choices=None,
    low=None,
    high=None,
    identity=True,
    usual=None,
    part=None,
    derived=False,
    first=False,
):
    """Makes a dataclass field that a flag can be made of.

    Args:
        default: The value when nothing is said.
        help: One sentence.
        choices: Optional tuple of the values allowed.
        low: Optional smallest number allowed.
        high: Optional largest number allowed.
        identity: Whether a run with another value is another run. False for settings
            that change where or how a run goes on, but not its result.
        usual: The published value, for a default that is not the same everywhere.
        part: See `method_setting`.
        derived: Bool. Where nothing is said, the value follows from the images, the
            network and the preset; `usual` is that of `--preset=published`.
        first: Bool. Whether the short help shows it.
    """
    metadata = {
        "help": help,
        "choices": choices,
        "low": low,
        "high": high,
        "identity": identity,
        "usual": usual,
        "part": part,
        "derived": derived,
        "first": first,
    }
    return dataclasses.field(default=default, metadata=metadata)


class Settings:
    """The base of all groups of settings; `prefix` starts the names of its flags.

    What is not said has its usual value. `said` names the fields for which a value was
    given.
    """

    prefix = ""

    def __post_init__(self):
        fields = dataclasses.fields(self)
        said = [f.name for f in fields if getattr(self, f.name) is not None]
        object.__setattr__(self, "said", frozenset(said))
        for field in fields:
            if field.name not in said:
                object.__setattr__(self, field.name, self.usual(field))
            self._check(field, getattr(self, field.name))

    def with_values(self, **values):
        """Returns a copy with other values, which count as not said."""
        copy = dataclasses.replace(self, **values)
        object.__setattr__(copy, "said", self.said)
        return copy

    def usual(self, field):
        """Returns the value of a field for which none was given."""
        return field.metadata["usual"]

    @classmethod
    def flag(cls, name):
        """Returns the flag's name of a field."""
        return f"{cls.prefix}{name}"

    @classmethod
    @functools.cache
    def types(cls):
        """Returns a dict of field name to `(type, optional)`."""
        types = {}
        for name, hint in typing.get_type_hints(cls).items():
            options = typing.get_args(hint)
            types[name] = (options[0], True) if options else (hint, False)
        return types

    def _check(self, field, value):
        expected, optional = type(self).types()[field.name]
        flag, limits = f"--{self.flag(field.name)}", field.metadata
        if value is None and optional:
            return
        if expected is float and isinstance(value, int) and not isinstance(value, bool):
            value = float(value)
            object.__setattr__(self, field.name, value)
        if type(value) is not expected:
            raise InputError(
                f"{flag} should be {expected.__name__}. Received: {value!r}"
            )
        if limits["choices"] and value not in limits["choices"]:
            known = ", ".join(limits["choices"])
            raise InputError(f"{flag} should be one of: {known}. Received: {value!r}")
        if expected is float and not math.isfinite(value):
            raise InputError(f"{flag} should be a finite number. Received: {value}")
        if limits["low"] is not None and value < limits["low"]:
            raise InputError(
                f"{flag} should be at least {limits['low']}. Received: {value}"
            )
        if limits["high"] is not None and value > limits["high"]:
            raise InputError(
                f"{flag} should be at most {limits['high']}. Received: {value}"
            )
