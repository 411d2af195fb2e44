"""Reads pickles as data: no name is looked up, nothing is called, no object is made or changed.

What a pickle would have Python do comes back as a description of it: `Call(Name("numpy.ndarray"), ...)`. The names that
it may mention are given; every other name, and every opcode that the known files do without, is refused.
"""

import dataclasses
import io
import pickle
import pickletools
from collections.abc import Callable, Collection
from typing import Any, NamedTuple


class Name(NamedTuple):
    """A global name, as "module name"."""

    name: str


@dataclasses.dataclass(eq=False, repr=False)
class Call:
    """A call that the pickle asks for, and the state that it would give to what the call returns."""

    function: Any
    arguments: Any
    state: Any = None


class Persistent(NamedTuple):
    """An object that lies outside the pickle, under this id."""

    id: Any


_CONSTANTS: dict[str, Any] = {"NONE": None, "NEWTRUE": True, "NEWFALSE": False, "EMPTY_TUPLE": ()}
_ARGUMENTS = ("BININT", "BININT1", "BININT2", "LONG1", "BINUNICODE", "SHORT_BINBYTES", "BINBYTES")


def load_inert(data: bytes, start: int, names: Collection[str], max_bytes: int) -> tuple[Any, int]:
    """Returns what the pickle at byte `start` describes, and where it ends.

    Args:
      data: bytes with a pickle in them; untrusted.
      start: its first byte.
      names: the names that it may mention, each as "module name".
      max_bytes: it may not be longer. This also bounds how deeply what it describes is nested.

    Returns:
      None, bool, int, str, bytes, tuple, list, a dict with text as keys, and the three descriptions of this module.
      Parts may be shared, so that writing one out can take far more memory than reading it.

    Raises:
      ValueError: no pickle, or one that asks for more; the cause is an UnpicklingError where something was refused.
    """
    window = io.BytesIO(data[start : start + max_bytes])
    machine = _Machine(names)
    try:
        for opcode, argument, _ in pickletools.genops(window):
            machine.step(opcode.name, argument)
        return machine.result(), start + window.tell()
    except (pickle.UnpicklingError, ValueError, LookupError, TypeError, AttributeError) as error:
        raise ValueError(f"not a readable pickle at byte {start}: {error!s:.120}") from error


class _Machine:
    """The stack and the memo of a pickle."""

    def __init__(self, names: Collection[str]) -> None:
        self._names = names
        self._stack: list[Any] = []
        self._marks: list[int] = []
        self._memo: dict[int, Any] = {}

    def step(self, opcode: str, argument: Any) -> None:
        if opcode in _CONSTANTS:
            self._stack.append(_CONSTANTS[opcode])
        elif opcode in _ARGUMENTS:
            self._stack.append(argument)
        elif opcode in _STEPS:
            _STEPS[opcode](self, argument)
        else:
            raise pickle.UnpicklingError(f"refused the opcode {opcode}")

    def result(self) -> Any:
        (value,) = self._stack
        return value

    def _mark(self, _: Any) -> None:
        self._marks.append(len(self._stack))

    def _marked(self) -> list[Any]:
        """Removes and returns what was pushed since the last mark."""
        mark = self._marks.pop()
        values = self._stack[mark:]
        del self._stack[mark:]
        return values

    def _top(self) -> Any:
        if len(self._stack) <= (self._marks[-1] if self._marks else 0):
            raise pickle.UnpicklingError("an opcode finds nothing on the stack")
        return self._stack[-1]

    def _pop(self) -> Any:
        value = self._top()
        del self._stack[-1]
        return value

    def _tuple(self, values: list[Any]) -> None:
        self._stack.append(tuple(values))

    def _tuple_of(self, count: int) -> None:
        self._tuple([self._pop() for _ in range(count)][::-1])

    def _append_all(self, _: Any) -> None:
        values = self._marked()
        _expect(list, self._top()).extend(values)

    def _set_items(self, items: list[Any]) -> None:
        keys, values = items[::2], items[1::2]
        if len(keys) != len(values) or not all(isinstance(key, str) for key in keys):
            raise pickle.UnpicklingError("a dict whose keys are not text")
        _expect(dict, self._top()).update(zip(keys, values, strict=True))

    def _set_item(self, _: Any) -> None:
        value, key = self._pop(), self._pop()
        self._set_items([key, value])

    def _name(self, name: str) -> None:
        if name not in self._names:
            raise pickle.UnpicklingError(f"refused to load {name.replace(' ', '.', 1)!r}")
        self._stack.append(Name(name))

    def _call(self, _: Any) -> None:
        arguments, function = self._pop(), self._pop()
        self._stack.append(Call(function, arguments))

    def _build(self, _: Any) -> None:
        state = self._pop()
        _expect(Call, self._top()).state = state

    def _persistent(self, _: Any) -> None:
        self._stack.append(Persistent(self._pop()))

    def _put(self, index: int) -> None:
        self._memo[index] = self._top()

    def _get(self, index: int) -> None:
        self._stack.append(self._memo[index])


def _expect(kind: type, value: Any) -> Any:
    # The value itself stays out of the message: nested references can make it terabytes long.
    if type(value) is not kind:
        raise pickle.UnpicklingError(f"a {type(value).__name__} where a {kind.__name__} is expected")
    return value


_STEPS: dict[str, Callable[[_Machine, Any], None]] = {
    "PROTO": lambda machine, _: None,
    "STOP": lambda machine, _: None,
    "MARK": _Machine._mark,
    "TUPLE": lambda machine, _: machine._tuple(machine._marked()),
    "TUPLE1": lambda machine, _: machine._tuple_of(1),
    "TUPLE3": lambda machine, _: machine._tuple_of(3),
    "EMPTY_LIST": lambda machine, _: machine._stack.append([]),
    "APPENDS": _Machine._append_all,
    "EMPTY_DICT": lambda machine, _: machine._stack.append({}),
    "SETITEM": _Machine._set_item,
    "SETITEMS": lambda machine, _: machine._set_items(machine._marked()),
    "GLOBAL": _Machine._name,
    "REDUCE": _Machine._call,
    "BUILD": _Machine._build,
    "BINPERSID": _Machine._persistent,
    "BINPUT": _Machine._put,
    "LONG_BINPUT": _Machine._put,
    "BINGET": _Machine._get,
}
