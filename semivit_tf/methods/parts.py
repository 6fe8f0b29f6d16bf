"""Parts of methods, given as they are or by name."""


def part_from(table, kind, part):
    """Returns a part as it was given, or by its name with its own defaults.

    Args:
        table: Dict of name to class.
        kind: String. The argument's name.
        part: What was given.
    """
    if not isinstance(part, str):
        return part
    if part not in table:
        raise ValueError(
            f"`{kind}` should be one of: {', '.join(table)}. Received: {part!r}"
        )
    return table[part]()


def set_part(options, kind, name, part):
    """Gives a method its own part, where that one, or none, is asked for.

    Args:
        options: Dict of the arguments given, which is changed.
        kind: String. The argument's name.
        name: String. What the part is called in the table of its kind.
        part: The part, made from the method's own arguments.
    """
    given = options.setdefault(kind, part)
    if isinstance(given, str) and given == name:
        options[kind] = part
