"""A reader of pickles that runs nothing of them.

A pickle is a program, and Python's own reader runs it: it imports, calls, and sets
attributes. This machine knows only the instructions that describe plain data. The
caller says what a name from a module stands for; other names are refused. Nothing is
imported, and only functions of the caller are called.
"""

import io
import pickletools

from semivit_tf.weights.weights_error import WeightsError

MOST_WORK = 2_000_000  # instructions, and arguments of functions
# Not tuples: hashing a deeply nested one as a key would recurse.
KEYS = (str, bytes, int, float, bool, type(None))

_MARK = object()
_CONSTANTS = {
    "NONE": None,
    "NEWTRUE": True,
    "NEWFALSE": False,
}
_EMPTY = {"EMPTY_LIST": list, "EMPTY_DICT": dict, "EMPTY_TUPLE": tuple}
_LITERALS = set(
    "INT BININT BININT1 BININT2 LONG LONG1 LONG4 FLOAT BINFLOAT STRING BINSTRING "
    "SHORT_BINSTRING UNICODE BINUNICODE SHORT_BINUNICODE BINUNICODE8 BINBYTES "
    "SHORT_BINBYTES BINBYTES8".split()
)
_TUPLES = {"TUPLE1": 1, "TUPLE2": 2, "TUPLE3": 3}


class Inert:
    """Stands for an object that is not used, such as the arguments of a command."""


class PickleMachine:
    """Reads the pickles of a stream.

    Args:
        names: Dict from a dotted name to what stands for it: a function of the
            pickled arguments, or any other object, which cannot be called.
        persistent: Optional function of a persistent id.
    """

    def __init__(self, names, persistent=None):
        self.names = names
        self.persistent = persistent

    def read(self, stream):
        """Returns what the next pickle of a stream of bytes in memory describes."""
        if not isinstance(stream, io.BytesIO):
            # A pickle can claim any length; data in memory limits what is read.
            raise TypeError("`stream` should be a BytesIO")
        self.stack, self.memo, self.spent = [], {}, 0
        try:
            for code, argument, _ in pickletools.genops(stream):
                self.spend(1)
                self.step(code.name, argument)
        except (ValueError, IndexError, OverflowError) as error:
            if isinstance(error, WeightsError):
                raise
            raise WeightsError("the pickle is damaged") from error
        if len(self.stack) != 1 or self.stack[0] is _MARK:
            raise WeightsError("the pickle is damaged")
        return self.stack[0]

    def spend(self, work):
        """Counts work, and refuses a pickle that makes too much of it."""
        self.spent += work
        if self.spent > MOST_WORK:
            raise WeightsError("the pickle has too many instructions")

    def step(self, name, argument):
        """Carries out one instruction."""
        stack = self.stack
        if name in _LITERALS:
            stack.append(argument)
        elif name in _CONSTANTS:
            stack.append(_CONSTANTS[name])
        elif name in _EMPTY:
            stack.append(_EMPTY[name]())
        elif name in _TUPLES:
            stack.append(tuple(self.pop(_TUPLES[name])))
        elif name in ("PUT", "BINPUT", "LONG_BINPUT"):
            self.memo[argument] = self.top()
        elif name == "MEMOIZE":
            self.memo[len(self.memo)] = self.top()
        elif name in ("GET", "BINGET", "LONG_BINGET"):
            if argument not in self.memo:
                raise WeightsError("the pickle is damaged")
            stack.append(self.memo[argument])
        elif name not in ("PROTO", "FRAME", "STOP"):
            act = getattr(self, f"_{name.lower()}", None)
            if act is None:
                raise WeightsError(f"the pickle uses {name}, which weights do not need")
            act(argument)

    def top(self):
        """Returns the last object of the stack."""
        return self.pop(1, keep=True)[0]

    def pop(self, count, keep=False):
        """Pops objects off the stack, none of which may be a mark."""
        found = self.stack[-count:]
        if len(found) != count or any(thing is _MARK for thing in found):
            raise WeightsError("the pickle is damaged")
        if not keep:
            del self.stack[-count:]
        return found

    def pop_to_mark(self):
        """Pops all objects after the last mark, and the mark."""
        for place in range(len(self.stack) - 1, -1, -1):
            if self.stack[place] is _MARK:
                found = self.stack[place + 1 :]
                del self.stack[place:]
                return found
        raise WeightsError("the pickle is damaged")

    # === Containers ===

    def _mark(self, _):
        self.stack.append(_MARK)

    def _pop(self, _):
        if not self.stack:
            raise WeightsError("the pickle is damaged")
        self.stack.pop()

    def _pop_mark(self, _):
        self.pop_to_mark()

    def _tuple(self, _):
        self.stack.append(tuple(self.pop_to_mark()))

    def _list(self, _):
        self.stack.append(self.pop_to_mark())

    def _dict(self, _):
        pairs = self.pop_to_mark()
        self.stack.append({})
        self.add_pairs(pairs)

    def _append(self, _):
        self.add_items(self.pop(1))

    def _appends(self, _):
        self.add_items(self.pop_to_mark())

    def _setitem(self, _):
        self.add_pairs(self.pop(2))

    def _setitems(self, _):
        self.add_pairs(self.pop_to_mark())

    def add_items(self, items):
        """Appends to the list on top of the stack."""
        if type(self.top()) is not list:
            raise WeightsError("the pickle appends to what is no list")
        self.top().extend(items)

    def add_pairs(self, pairs):
        """Adds alternating keys and values to the dict on top of the stack."""
        target = self.top()
        if type(target) is not dict or len(pairs) % 2:
            raise WeightsError("the pickle sets items of what is no dict")
        for key, value in zip(pairs[::2], pairs[1::2], strict=True):
            if not isinstance(key, KEYS):
                raise WeightsError("the pickle has a dict whose keys are not plain")
            target[key] = value

    # === Names and calls ===

    def _global(self, argument):
        self.stack.append(self.find(argument.replace(" ", ".")))

    def _stack_global(self, _):
        module, name = self.pop(2)
        if not isinstance(module, str) or not isinstance(name, str):
            raise WeightsError("the pickle is damaged")
        self.stack.append(self.find(f"{module}.{name}"))

    def find(self, dotted):
        """Returns what stands for a name."""
        if dotted not in self.names:
            shown = dotted if len(dotted) <= 80 else f"{dotted[:80]}..."
            raise WeightsError(
                f"the pickle asks for {shown!r}, which weights do not need, so nothing "
                "of it was run"
            )
        return self.names[dotted]

    def _reduce(self, _):
        function, arguments = self.pop(2)
        known = any(function is known for known in self.names.values())
        if not known or not callable(function) or type(arguments) is not tuple:
            raise WeightsError("the pickle calls what is no function")
        # The memo can pass one object again and again.
        sized = (thing for thing in arguments if isinstance(thing, list | tuple))
        self.spend(sum(map(len, sized), len(arguments)))
        self.stack.append(function(*arguments))

    _newobj = _reduce

    def _build(self, _):
        # Only dicts and objects that are not used may get attributes.
        target, _ = self.pop(2)
        if not isinstance(target, Inert | dict):
            raise WeightsError("the pickle sets attributes of what should have none")
        self.stack.append(target)

    def _binpersid(self, _):
        if self.persistent is None:
            raise WeightsError("the pickle refers to data that is not in it")
        self.stack.append(self.persistent(*self.pop(1)))
