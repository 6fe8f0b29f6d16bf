"""Arguments that are handed on: unknown ones are named where they were given."""

import inspect


def check_known(name, given, *functions):
    """Refuses keyword arguments that no function takes.

    Args:
        name: String. The function that a person called.
        given: Dict of arguments.
        *functions: Functions and classes whose keyword-only arguments are known.
    """
    known = {
        argument: None
        for function in functions
        for argument, parameter in inspect.signature(function).parameters.items()
        if parameter.kind == parameter.KEYWORD_ONLY
    }
    unknown = [argument for argument in given if argument not in known]
    if unknown:
        raise TypeError(
            f"The arguments of `{name}` should be of: {', '.join(known)}. "
            f"Received: {', '.join(unknown)}"
        )
