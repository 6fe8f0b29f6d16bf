"""A setting: a dataclass field with a sentence of help and its own check."""

import dataclasses
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
        usual: See `method_setting`; so is the next.
        part: Optional tuple.
    """
    metadata = {
        "help": help,
        "choices": choices,
        "low": low,
        "high": high,
        "identity": identity,
        "usual": usual,
        "part": part,
    }
    return dataclasses.field(default=default, metadata=metadata)


class Settings:
    """The base of all groups of settings; `prefix` starts the names of its flags."""

    prefix = ""

    def __post_init__(self):
        for field in dataclasses.fields(self):
            self._check(field, getattr(self, field.name))

    @classmethod
    def flag(cls, name):
        """Returns the flag's name of a field."""
        return f"{cls.prefix}{name}"

    @classmethod
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
