"""Settings of a method: a class each, with the defaults that were published."""

import dataclasses
from typing import ClassVar

from semivit_tf.config.settings import InputError, Settings, setting


def method_setting(default, help, *, part=None, **limits):
    """Makes a field whose default a method may change.

    Args:
        default: The usual default.
        help: One sentence.
        part: Optional tuple `(field, value, ...)`: the setting belongs to a part, and
            is there only where that one, or one of those, is chosen, as in
            `("mixing", "probabilistic")`.
        **limits: See `setting`.
    """
    return setting(None, help, usual=default, part=part, **limits)


class MethodSettings(Settings):
    """The base of methods' settings: what is not given has the method's default.

    `defaults` holds those that differ from the usual ones, and `lacks` names the fields
    that mean nothing to the method. A field is None where it is one of these, or
    belongs to a part that is not chosen.
    """

    name = ""
    defaults: ClassVar[dict] = {}
    lacks: ClassVar[tuple[str, ...]] = ()

    def _check(self, field, value):
        if not self._has(field):
            self._refuse(field, value)
        super()._check(field, value)

    def usual(self, field):
        return self.default(field) if self._has(field) else None

    @classmethod
    def default(cls, field):
        """Returns this method's default of a field."""
        return cls.defaults.get(field.name, field.metadata["usual"])

    def of_part(self, name):
        """Returns a dict of the settings of the chosen part of a kind, as `mixing`."""
        own = self.own()
        return {
            field.name: getattr(self, field.name)
            for field in dataclasses.fields(self)
            if field.metadata["part"]
            and field.metadata["part"][0] == name
            and self._has(field)
            and field.name not in own
        }

    def own(self):
        """Returns a dict of the settings that this method alone has."""
        shared = {field.name for field in dataclasses.fields(type(self).__mro__[1])}
        return {
            field.name: getattr(self, field.name)
            for field in dataclasses.fields(self)
            if field.name not in shared
        }

    def _has(self, field):
        part = field.metadata["part"]
        if field.name in self.lacks:
            return False
        return part is None or getattr(self, part[0]) in part[1:]

    def _refuse(self, field, value):
        if value is None:
            return
        flag = f"--{self.flag(field.name)}"
        if field.name in self.lacks:
            raise InputError(
                f"{flag} means nothing to {self.name}. Received: {value}; {flag}= "
                "takes it back"
            )
        name, *wanted = field.metadata["part"]
        raise InputError(
            f"{flag} belongs to --{self.flag(name)}={' or '.join(wanted)}. Received it "
            f"with --{self.flag(name)}={getattr(self, name)}; {flag}= takes it back"
        )
