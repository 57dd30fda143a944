"""A pickle, read by a machine of our own that has nothing to call.

A pickle is a program. It puts values on a stack, collects them into tuples, lists and dicts, and remembers some in a
memo. It may also name any function of any module and have it called, and Python's own machine obeys. This one knows
only the steps that a state dict needs. What a pickle names or calls is looked up in tables that the caller hands in.

What a pickle may ask for has limits, so that a small file cannot take hours or all memory: so many steps, and keys of
dicts that are strings or integers (to hash a tuple means to walk through all that is in it, however deep).
"""

import pickletools
from collections import OrderedDict
from reprlib import repr as short  # of any value, at most a line

MOST_STEPS = 300_000  # a state dict takes about 50 for each tensor

# Steps that push what is written in them, by the names that pickletools has.
VALUES = {
    *("INT", "BININT", "BININT1", "BININT2", "LONG", "LONG1", "LONG4", "FLOAT", "BINFLOAT"),
    *("STRING", "BINSTRING", "SHORT_BINSTRING", "UNICODE", "SHORT_BINUNICODE", "BINUNICODE", "BINUNICODE8"),
    *("BINBYTES", "SHORT_BINBYTES", "BINBYTES8"),
}
CONSTANTS = {"NONE": None, "NEWTRUE": True, "NEWFALSE": False}
EMPTY = {"EMPTY_TUPLE": tuple, "EMPTY_LIST": list, "EMPTY_DICT": dict}
TUPLES = {"TUPLE1": 1, "TUPLE2": 2, "TUPLE3": 3}
IGNORED = {"PROTO", "FRAME"}


def unpickle(file, name, call, persistent):
    """The object of the pickle at the file's position, which moves behind it. ValueError for what no state dict needs.

    name(module, attribute): the value that stands for what a pickle names. call(function, arguments): what a call
    gives, of a value that `name` has given. persistent(id): what a storage's id gives.

    >>> import io, pickle
    >>> unpickle(io.BytesIO(pickle.dumps({"a": (1, [2.5, None])}, 2)), None, None, None)
    {'a': (1, [2.5, None])}
    """
    machine = _Machine(name, call, persistent)
    for count, (step, argument, _) in enumerate(pickletools.genops(file)):
        if count == MOST_STEPS:
            raise ValueError(f"its pickle takes more than {MOST_STEPS:,} steps; save fewer tensors in one file")
        if step.name == "STOP":
            return machine.pop()
        machine.take(step.name, argument)
    raise ValueError("its pickle has no end")


class _Machine:
    """The stack, the marks in it and the memo of one pickle."""

    def __init__(self, name, call, persistent):
        self.name = name
        self.call = call
        self.persistent = persistent
        self.stack = []
        self.marks = []
        self.memo = {}

    def pop(self):
        """The value on top. Nothing below the last mark belongs to it."""
        if len(self.stack) <= (self.marks[-1] if self.marks else 0):
            raise ValueError("its pickle takes a value that it has not put there")
        return self.stack.pop()

    def popped(self, count):
        """The last values, in the order in which they were put there."""
        values = [self.pop() for _ in range(count)]
        return values[::-1]

    def since_mark(self):
        """All values above the last mark, which goes with them."""
        if not self.marks:
            raise ValueError("its pickle collects what no mark begins")
        start = self.marks.pop()
        values = self.stack[start:]
        del self.stack[start:]
        return values

    def take(self, step, argument):
        """One step."""
        push = self.stack.append
        if step in VALUES:
            push(argument)
        elif step in CONSTANTS:
            push(CONSTANTS[step])
        elif step in EMPTY:
            push(EMPTY[step]())
        elif step in TUPLES:
            push(tuple(self.popped(TUPLES[step])))
        elif step == "MARK":
            self.marks.append(len(self.stack))
        elif step == "TUPLE":
            push(tuple(self.since_mark()))
        elif step == "LIST":
            push(self.since_mark())
        elif step == "DICT":
            push(_filled({}, self.since_mark()))
        elif step == "APPEND":
            value = self.pop()
            self.top(list).append(value)
        elif step == "APPENDS":
            values = self.since_mark()
            self.top(list).extend(values)
        elif step == "SETITEM":
            pair = self.popped(2)
            _filled(self.top(dict), pair)
        elif step == "SETITEMS":
            values = self.since_mark()
            _filled(self.top(dict), values)
        elif step == "GLOBAL":
            module, _, attribute = argument.partition(" ")
            push(self.name(module, attribute))
        elif step == "STACK_GLOBAL":
            module, attribute = self.popped(2)
            push(self.name(module, attribute))
        elif step == "REDUCE":
            function, arguments = self.popped(2)
            if not isinstance(arguments, tuple):
                raise ValueError(f"its pickle calls with {short(arguments)}, expected a tuple")
            push(self.call(function, arguments))
        elif step == "BUILD":
            # An OrderedDict of PyTorch has the versions of its layers as an attribute. Nobody needs them.
            self.pop()
            self.top(OrderedDict)
        elif step == "BINPERSID":
            push(self.persistent(self.pop()))
        elif step in ("PUT", "BINPUT", "LONG_BINPUT"):
            self.memo[argument] = self.top(object)
        elif step == "MEMOIZE":
            self.memo[len(self.memo)] = self.top(object)
        elif step in ("GET", "BINGET", "LONG_BINGET"):
            if argument not in self.memo:
                raise ValueError(f"its pickle recalls entry {argument} of its memo, which it has not made")
            push(self.memo[argument])
        elif step == "POP":
            self.pop()
        elif step == "POP_MARK":
            self.since_mark()
        elif step not in IGNORED:
            raise ValueError(f"its pickle has a step {step}, which no state dict needs")

    def top(self, kind):
        """The value on top, which stays there, if it is of this kind."""
        if not self.stack or not isinstance(self.stack[-1], kind):
            raise ValueError(f"its pickle fills what is no {kind.__name__}")
        return self.stack[-1]


def _filled(mapping, values):
    """A dict with more entries: key, value, key, value, ..."""
    if len(values) % 2:
        raise ValueError("its pickle has a key without a value")
    for key, value in zip(values[::2], values[1::2], strict=True):
        if type(key) not in (str, int):
            raise ValueError(f"its pickle has the key {short(key)}, expected a name or a number")
        mapping[key] = value
    return mapping
