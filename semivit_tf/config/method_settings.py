"""Settings of a method: a class each, with the defaults that were published."""

import dataclasses

from semivit_tf.config.settings import InputError, Settings, setting


def method_setting(default, help, *, part=None, **limits):
    """Makes a field whose default a method may change.

    Args:
        default: The usual default.
        help: One sentence.
        part: Optional tuple `(field, value)`: the setting belongs to a part, and is
            there only where that part is chosen, as in `("mixing", "probabilistic")`.
        **limits: See `setting`.
    """
    return setting(None, help, usual=default, part=part, **limits)


class MethodSettings(Settings):
    """The base of methods' settings: what is not given has the method's default.

    `defaults` holds those that differ from the usual ones. A field is None where it
    belongs to a part that is not chosen.
    """

    name = ""
    defaults = {}

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
            if field.metadata["part"] == (name, getattr(self, name))
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
        return part is None or getattr(self, part[0]) == part[1]

    def _refuse(self, field, value):
        if value is not None:
            name, wanted = field.metadata["part"]
            raise InputError(
                f"--{self.flag(field.name)} belongs to "
                f"--{self.flag(name)}={wanted}. Received it with "
                f"--{self.flag(name)}={getattr(self, name)}; "
                f"--{self.flag(field.name)}= takes it back"
            )
