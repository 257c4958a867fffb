"""JSON and TOML from elsewhere, with a limit on size; nesting is limited by the parser."""

from __future__ import annotations

import json
import re
import tomllib
from pathlib import Path
from typing import Any

from anisotropy.errors import InputError, reason_of, shown
from anisotropy.untrusted.paths import check_file

MAX_JSON, MAX_TOML = 256 * 2**20, 2**20
_HALF = re.compile(rb"\\u[dD][89a-fA-F]")


def parse_json(text: str | bytes, where: object) -> Any:
    """Value of a JSON text; `where` is what a message calls it.

    Raises
    ------
    InputError
        If it is not JSON, or nested deeper than the parser goes.
    """
    try:
        if isinstance(text, bytes):
            text = text.decode(json.detect_encoding(text))
        return json.loads(text)
    except RecursionError:
        raise InputError(f"{where}: not readable as JSON (nested too deep)") from None
    except ValueError as error:
        raise InputError(f"{where}: not readable as JSON ({reason_of(error)})") from None


def read_json(path: Path, largest: int = MAX_JSON, *, unicode: bool = True) -> Any:
    """Read a JSON file of at most `largest` bytes.

    Parameters
    ----------
    path, largest
        The file, and the bytes that it may have.
    unicode
        Refuse a text with half of a surrogate pair, which JSON can spell, but no file can hold.

    Raises
    ------
    InputError
        If it cannot be read, is larger, is not JSON, or has a text that is not Unicode.
    """
    text = _read(path, largest, "JSON")
    value = parse_json(text, path)
    if unicode and _HALF.search(text):
        _check_characters(value, path)
    return value


def read_toml(path: Path, largest: int = MAX_TOML) -> dict[str, Any]:
    """Read a TOML file of at most `largest` bytes.

    Raises
    ------
    InputError
        If it cannot be read, is larger, or is not TOML.
    """
    text = _read(path, largest, "TOML")
    try:
        return tomllib.loads(text.decode())
    except RecursionError:
        raise InputError(f"{path}: not readable as TOML (nested too deep)") from None
    except ValueError as error:
        raise InputError(f"{path}: not readable as TOML ({reason_of(error)})") from None


def _read(path: Path, largest: int, kind: str) -> bytes:
    size = check_file(path)
    if size > largest:
        raise InputError(f"{path}: {size} bytes; allowed for this {kind} file: {largest}")
    try:
        return path.read_bytes()
    except OSError as error:
        raise InputError(f"{path}: cannot be read ({error.strerror or error})") from None


def _check_characters(value: Any, path: Path) -> None:
    try:
        json.dumps(value, ensure_ascii=False).encode()
    except UnicodeEncodeError as error:
        half = shown(error.object[error.start])
        raise InputError(f"{path}: has half of a surrogate pair ({half}); needed: text") from None
