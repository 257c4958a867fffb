"""Pickles from elsewhere, read without ever calling what they name.

The interpreter is the standard library's own in Python, with every instruction that could call,
build or hash something narrowed: names resolve to stand-ins of ours from an allow-list, keys are
scalars (the hash of nested tuples can take forever), and no block is read before its size is
checked against what is left of the file. The memo is a dictionary there, so a lying index costs
nothing.
"""

from __future__ import annotations

import io
import pickle
import struct
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any, ClassVar

from anisotropy.errors import InputError, printable, reason_of
from anisotropy.untrusted.paths import check_file

Allowed = Mapping[tuple[str, str], Any]
_SCALARS = (str, bytes, int, float, bool, type(None))
#: Blocks of bytes from here on stay in the file.
LARGE = 4096
#: An empty container takes a hundred times the one byte that asks for it, and a mark as well.
MOST_CONTAINERS, DEEPEST = 1_000_000, 10_000
#: What calls may cost in all, by the byte of the file: one makes an object, and its arguments are
#: copied, which a pickle can ask for again and again. Numbers and text of real files stay below.
_COST, _SPARE, _A_CALL = 16, 2**20, 64
#: Bytes of a file an entry of the memo.
_AN_ENTRY = 4
_LARGEST_KEY = 2**64
_UNCHECKED = 2**16
_LONGEST_LINE = 2**20


@dataclass(frozen=True)
class Payload:
    """A block of bytes that was left where it is in the file."""

    offset: int
    size: int


def _ordered(items: Any = ()) -> dict[Any, Any]:
    found: dict[Any, Any] = {}
    for key, value in items:
        _check_key(key)
        found[key] = value
    return found


def _default(*_: Any) -> dict[Any, Any]:
    return {}


def _counted(items: Any = None) -> dict[Any, Any]:
    return dict(items) if type(items) is dict else {}


def _no_bytes(*content: Any) -> bytes:
    """How protocols 0 to 2 write empty bytes."""
    if content:
        raise pickle.UnpicklingError("it makes bytes from something else")
    return b""


def _sequence(make: Callable[[Any], Any]) -> Callable[..., Any]:
    def build(items: Any = ()) -> Any:
        if not isinstance(items, list | tuple):
            raise pickle.UnpicklingError("it makes a container from something else than a list")
        if make in (set, frozenset):
            for item in items:
                _check_key(item)
        return make(items)

    return build


#: Plain containers: all of them come out as dict, list, tuple, set or frozenset.
CONTAINERS: dict[tuple[str, str], Any] = {
    ("collections", "OrderedDict"): _ordered,
    ("collections", "defaultdict"): _default,
    ("collections", "Counter"): _counted,
    **{
        (module, kind.__name__): _sequence(kind)
        for module in ("builtins", "__builtin__")
        for kind in (list, tuple, set, frozenset)
    },
    **{(module, "dict"): _ordered for module in ("builtins", "__builtin__")},
    **{(module, "bytes"): _no_bytes for module in ("builtins", "__builtin__")},
}


def _check_key(key: Any) -> None:
    if type(key) not in _SCALARS:
        raise pickle.UnpicklingError(
            f"it has a key or an element of type {type(key).__name__}; allowed: text and numbers"
        )
    if type(key) is int and abs(key) >= _LARGEST_KEY:
        raise pickle.UnpicklingError("it has a key of more than 64 bits")


class _Bounded:
    """A stream that never takes memory for more bytes than it has."""

    def __init__(self, file: IO[bytes]) -> None:
        self.file = file
        start = file.tell()
        self.size = file.seek(0, io.SEEK_END)
        file.seek(start)

    def left(self) -> int:
        return self.size - self.file.tell()

    def read(self, n: int) -> bytes:
        if n > _UNCHECKED:
            self.check(n)
        return self.file.read(n)

    def check(self, n: int) -> None:
        if n > self.left():
            raise pickle.UnpicklingError(
                f"it ends early: a block of {n} bytes, {self.left()} left in the file"
            )

    def readline(self) -> bytes:
        return self.file.readline(_LONGEST_LINE)


def _counting(make: Callable[..., None]) -> Callable[..., None]:
    """Let an instruction make a container only where there are not too many already."""

    def counted(self: RestrictedUnpickler) -> None:
        self._containers += 1
        if self._containers > MOST_CONTAINERS:
            raise pickle.UnpicklingError(f"it has more than {MOST_CONTAINERS} containers")
        make(self)

    return counted


#: The interpreter in Python, which has no types.
_Interpreter: Any = pickle._Unpickler


class RestrictedUnpickler(_Interpreter):  # type: ignore[misc]
    """Unpickler that resolves listed names only, to stand-ins of ours.

    Parameters
    ----------
    file
        Seekable binary stream; it is left where the pickle ends.
    allowed
        (module, name) as written in the pickle -> what takes its place.
    persistent
        Called with a persistent id; None refuses them.
    keep
        Leave large blocks of bytes in the file, as `Payload`; for files that stay.
    """

    dispatch: ClassVar[dict[int, Callable[..., None]]] = {**_Interpreter.dispatch}

    def __init__(
        self,
        file: IO[bytes],
        allowed: Allowed,
        *,
        persistent: Callable[[Any], Any] | None = None,
        keep: bool = False,
    ) -> None:
        self._bounded = _Bounded(file)
        super().__init__(self._bounded, fix_imports=False, encoding="latin1")
        self._allowed, self._persistent, self._keep = allowed, persistent, keep
        self._callable = {id(one) for one in allowed.values()}
        self._containers = 0
        self._budget = _COST * self._bounded.size + _SPARE
        self._most_entries = self._bounded.size // _AN_ENTRY + _SPARE // _A_CALL

    def find_class(self, module: str, name: str) -> Any:
        """Resolve a listed name."""
        try:
            return self._allowed[module, name]
        except (KeyError, TypeError):
            called = printable(f"{module}.{name}", 100)
            raise pickle.UnpicklingError(f"it names {called}, which is not read") from None

    def persistent_load(self, pid: Any) -> Any:
        """Resolve a persistent id, where such are expected."""
        if self._persistent is None:
            raise pickle.UnpicklingError("it has a persistent id, which is not read")
        return self._persistent(pid)

    def _refuse(self) -> None:
        raise pickle.UnpicklingError("it has an instruction that is not read")

    def _reduce(self) -> None:
        arguments = self.stack.pop()
        function = self.stack[-1]
        self.stack[-1] = self._called(function, arguments)

    def _newobj(self) -> None:
        arguments = self.stack.pop()
        self.stack.append(self._called(self.stack.pop(), arguments))

    def _inst(self) -> None:
        module, name = (self.readline()[:-1].decode("ascii") for _ in range(2))
        self.append(self._called(self.find_class(module, name), tuple(self.pop_mark())))

    def _obj(self) -> None:
        function, *arguments = self.pop_mark()
        self.append(self._called(function, tuple(arguments)))

    def _called(self, function: Any, arguments: Any) -> Any:
        if id(function) not in self._callable:
            raise pickle.UnpicklingError("it calls something that is no allowed name")
        if not callable(function) or type(arguments) is not tuple:
            raise pickle.UnpicklingError("it calls something with no list of arguments")
        self._budget -= _A_CALL + sum(len(one) for one in arguments if hasattr(one, "__len__"))
        if self._budget < 0:
            raise pickle.UnpicklingError("it makes far more objects than a file of its size holds")
        return function(*arguments)

    def _build(self) -> None:
        state = self.stack.pop()
        target = self.stack[-1]
        if type(target) is dict:  # attributes of an ordered dictionary, torch's ``_metadata``
            return
        rebuild = getattr(target, "rebuild", None)
        if rebuild is None or isinstance(target, type):
            raise pickle.UnpicklingError("it sets the state of something that has none")
        rebuild(state)

    def _setitem(self) -> None:
        value, key = self.stack.pop(), self.stack.pop()
        self._set([key, value])

    def _setitems(self) -> None:
        self._set(self.pop_mark())

    def _set(self, items: list[Any]) -> None:
        target = self.stack[-1]
        if type(target) is not dict or len(items) % 2:
            raise pickle.UnpicklingError("it sets items of something that is no table")
        _check_keys(items[::2])
        target.update(zip(items[::2], items[1::2], strict=True))

    def _dict(self) -> None:
        items = self.pop_mark()
        self.append({})
        self._set(items)

    def _append(self) -> None:
        self._extend([self.stack.pop()])

    def _appends(self) -> None:
        self._extend(self.pop_mark())

    def _extend(self, items: list[Any]) -> None:
        if type(self.stack[-1]) is not list:
            raise pickle.UnpicklingError("it appends to something that is no list")
        self.stack[-1].extend(items)

    def _additems(self) -> None:
        items = self.pop_mark()
        if type(self.stack[-1]) is not set:
            raise pickle.UnpicklingError("it adds to something that is no set")
        _check_keys(items)
        self.stack[-1].update(items)

    def _frozenset(self) -> None:
        items = self.pop_mark()
        _check_keys(items)
        self.append(frozenset(items))

    def _bytes(self) -> None:
        self._block(struct.unpack("<I", self.read(4))[0])

    def _bytes8(self) -> None:
        self._block(struct.unpack("<Q", self.read(8))[0])

    def _block(self, size: int) -> None:
        """A block of bytes: read, or left in the file where it is large and lies outside frames.

        Pickles from protocol 4 on write large blocks outside of their frames.
        """
        if self._keep and size >= LARGE and not self._unframer.current_frame:
            self._bounded.check(size)
            self.append(Payload(self._bounded.file.tell(), size))
            self._bounded.file.seek(size, io.SEEK_CUR)
        else:
            self.append(self.read(size))

    def _mark(self) -> None:
        if len(self.metastack) >= DEEPEST:
            raise pickle.UnpicklingError(f"it nests deeper than {DEEPEST}")
        super().load_mark()

    def _memoize(self) -> None:
        self._remember(len(self.memo))

    def _put(self) -> None:
        self._remember(int(self.readline()[:-1]))

    def _binput(self) -> None:
        self._remember(self.read(1)[0])

    def _long_binput(self) -> None:
        self._remember(struct.unpack("<I", self.read(4))[0])

    def _remember(self, index: int) -> None:
        if len(self.memo) >= self._most_entries:
            raise pickle.UnpicklingError("it remembers far more than a file of its size holds")
        self.memo[index] = self.stack[-1]

    dispatch[pickle.MARK[0]] = _mark
    dispatch[pickle.MEMOIZE[0]] = _memoize
    dispatch[pickle.PUT[0]] = _put
    dispatch[pickle.BINPUT[0]] = _binput
    dispatch[pickle.LONG_BINPUT[0]] = _long_binput
    dispatch[pickle.REDUCE[0]] = _reduce
    dispatch[pickle.NEWOBJ[0]] = _newobj
    dispatch[pickle.INST[0]] = _inst
    dispatch[pickle.OBJ[0]] = _obj
    dispatch[pickle.BUILD[0]] = _build
    dispatch[pickle.SETITEM[0]] = _setitem
    dispatch[pickle.SETITEMS[0]] = _setitems
    dispatch[pickle.DICT[0]] = _dict
    dispatch[pickle.APPEND[0]] = _append
    dispatch[pickle.APPENDS[0]] = _appends
    dispatch[pickle.ADDITEMS[0]] = _additems
    dispatch[pickle.FROZENSET[0]] = _frozenset
    dispatch[pickle.BINBYTES[0]] = _bytes
    dispatch[pickle.BINBYTES8[0]] = _bytes8
    dispatch[pickle.BYTEARRAY8[0]] = _bytes8
    for _code in (
        pickle.NEWOBJ_EX, pickle.EXT1, pickle.EXT2, pickle.EXT4, pickle.NEXT_BUFFER,
        pickle.READONLY_BUFFER,
    ):  # fmt: skip
        dispatch[_code[0]] = _refuse
    for _code in (
        pickle.EMPTY_LIST, pickle.EMPTY_DICT, pickle.EMPTY_SET, pickle.LIST, pickle.DICT,
        pickle.FROZENSET, pickle.TUPLE, pickle.TUPLE1, pickle.TUPLE2, pickle.TUPLE3,
    ):  # fmt: skip
        dispatch[_code[0]] = _counting(dispatch[_code[0]])


def _check_keys(keys: list[Any]) -> None:
    for key in keys:
        if type(key) is not str:
            _check_key(key)


def load(
    path: Path,
    allowed: Allowed,
    *,
    keep: bool = False,
    largest: int | None = None,
) -> Any:
    """Read the first pickle of a file.

    Parameters
    ----------
    path
        The file.
    allowed
        (module, name) -> stand-in, besides plain containers.
    keep
        Leave large blocks of bytes in the file, as `Payload`.
    largest
        Bytes that the file may have.

    Raises
    ------
    InputError
        If it is too large, damaged, or names anything else; the message names the file.
    """
    size = check_file(path)
    if largest is not None and size > largest:
        raise InputError(f"{path}: {size} bytes; allowed for this file: {largest}; not read")
    try:
        with path.open("rb") as file:
            return load_from(file, path, allowed, keep=keep)
    except OSError as error:
        raise InputError(f"{path}: cannot be read ({error.strerror or error})") from None


def load_from(
    file: IO[bytes],
    path: Path,
    allowed: Allowed,
    *,
    persistent: Callable[[Any], Any] | None = None,
    keep: bool = False,
) -> Any:
    """Read one pickle from a stream of `path` and stay behind it; see `load`."""
    try:
        names = {**CONTAINERS, **allowed}
        return RestrictedUnpickler(file, names, persistent=persistent, keep=keep).load()
    except InputError:
        raise
    except Exception as error:  # every damage a pickle can have
        reason = reason_of(error)
        raise InputError(f"{path}: not readable as a pickle ({reason})") from None
