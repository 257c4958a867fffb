"""Checks of values from a file that may come from anywhere: a check refuses in one line.

A check is called with a value and where it stands; checks are put together to larger ones.
"""

from __future__ import annotations

import math
import reprlib
from collections.abc import Callable, Iterable, Mapping
from typing import Any, NoReturn

from anisotropy.errors import InputError, one_of

Check = Callable[[Any, str], None]
#: Nothing that is written nests deeper; what did would end the stack of whoever walks it.
DEEPEST = 20
_LARGEST = 2**63
_TOP = "top level"
_SHORT = reprlib.Repr()
_SHORT.maxstring = _SHORT.maxother = 100
_WORDS = {None: "null", True: "true", False: "false"}


def refuse(where: str, got: Any, allowed: str) -> NoReturn:
    """Raise the error that names the entry, what was got and what is allowed."""
    raise InputError(f"{where}: got {shown(got)}; allowed: {allowed}")


def shown(value: Any) -> str:
    """A value as a message has it: one line, shortened, as JSON calls it."""
    named = value is None or isinstance(value, bool)
    return _WORDS[value] if named else _SHORT.repr(value)


def plain(allowed: str, fits: Callable[[Any], bool]) -> Check:
    """A value for which `fits` is true."""

    def check(value: Any, where: str) -> None:
        if not fits(value):
            refuse(where, value, allowed)

    return check


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _is_whole(value: Any) -> bool:
    return type(value) is int and value >= 0


TEXT = plain("a text", lambda value: isinstance(value, str))
NAME = plain("a text that is not empty", lambda value: isinstance(value, str) and value != "")
FLAG = plain("true or false", lambda value: isinstance(value, bool))
NUMBER = plain("a number", _is_number)
WHOLE = plain("a whole number, at least 0", _is_whole)
ANYTHING = plain("anything", lambda value: True)
TEXT_OR_NULL = plain("a text or null", lambda value: value is None or isinstance(value, str))
NUMBER_OR_NULL = plain("a number or null", lambda value: value is None or _is_number(value))
WHOLE_OR_NULL = plain(
    "a whole number, at least 0, or null", lambda value: value is None or _is_whole(value)
)


def word(*words: str) -> Check:
    """One of the words."""

    def check(value: Any, where: str) -> None:
        TEXT(value, where)
        if value not in words:
            raise InputError(f"{where}: {one_of(shown(value)[1:-1], words)}")

    return check


def list_of(each: Check, length: int | None = None) -> Check:
    """A list of such entries, and of so many where it says how many."""
    size = "" if length is None else f" of {length}"

    def check(value: Any, where: str) -> None:
        if not isinstance(value, list) or length not in (None, len(value)):
            refuse(where, value, f"a list{size}")
        for number, entry in enumerate(value):
            each(entry, f"{where}[{number}]")

    return check


def mapping(of: Mapping[str, Check] | None = None, others: Check = ANYTHING) -> Check:
    """A mapping; the keys that are known may be there, and everything else is `others`."""
    known = of or {}

    def check(value: Any, where: str) -> None:
        if not isinstance(value, dict):
            refuse(where, value, "a mapping")
        for key, entry in value.items():
            known.get(key, others)(entry, below(where, key))

    return check


def record(
    needed: Mapping[str, Check], may: Mapping[str, Check] | None = None, closed: bool = True
) -> Check:
    """A mapping with all needed keys; closed, with no others than those and what may be there."""
    known = {**needed, **(may or {})}

    def check(value: Any, where: str) -> None:
        mapping(known)(value, where)
        for key in known:
            if key in needed and key not in value:
                raise InputError(f"{where or _TOP}: {key!r} is missing; needed: {_names(needed)}")
        for key in value:
            if closed and key not in known:
                refuse(where or _TOP, key, _names(known))

    return check


def _names(keys: Iterable[str]) -> str:
    return f"the keys {', '.join(keys)}"


def below(where: str, key: str) -> str:
    """Where an entry of a mapping stands."""
    short = key if len(key) <= 40 and key.isprintable() else shown(key)
    return f"{where}.{short}" if where else short


def check_values(value: Any, where: str = "", depth: int = 0) -> None:
    """Refuse what no writer writes, wherever it stands, so that any value can be shown.

    Raises
    ------
    InputError
        If something is nested too deep, a text is no Unicode, or a number is not finite or has
        more than 64 bits.
    """
    if depth > DEEPEST:
        refuse(where, value, f"{DEEPEST} levels of lists and mappings")
    if isinstance(value, dict):
        for key, entry in value.items():
            _check_text(key, where)
            check_values(entry, below(where, key), depth + 1)
    elif isinstance(value, list):
        for number, entry in enumerate(value):
            check_values(entry, f"{where}[{number}]", depth + 1)
    elif isinstance(value, str):
        _check_text(value, where)
    elif isinstance(value, float) and not math.isfinite(value):
        refuse(where, value, "finite numbers, and null for what is none")
    elif isinstance(value, int) and abs(value) >= _LARGEST:
        refuse(where, value, "numbers of at most 64 bits")


def _check_text(text: str, where: str) -> None:
    try:
        text.encode("utf-8")
    except UnicodeEncodeError:
        refuse(where, text, "text that is Unicode, without halves of pairs")
