"""JSON from elsewhere, with a limit on its size; nesting is limited by the parser."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from anisotropy.errors import InputError
from anisotropy.untrusted.paths import check_file

MAX_JSON = 256 * 2**20


def parse_json(text: str | bytes, where: object) -> Any:
    """Value of a JSON text; `where` is what a message calls it.

    Raises
    ------
    InputError
        If it is not JSON, or nested deeper than the parser goes.
    """
    try:
        return json.loads(text)
    except RecursionError:
        raise InputError(f"{where}: not readable as JSON (nested too deep)") from None
    except ValueError as error:
        raise InputError(f"{where}: not readable as JSON ({str(error).splitlines()[0]})") from None


def read_json(path: Path, largest: int = MAX_JSON) -> Any:
    """Read a JSON file of at most `largest` bytes.

    Raises
    ------
    InputError
        If it cannot be read, is larger, or is not JSON.
    """
    size = check_file(path)
    if size > largest:
        raise InputError(f"{path}: {size} bytes; allowed for this JSON file: {largest}")
    try:
        text = path.read_bytes()
    except OSError as error:
        raise InputError(f"{path}: cannot be read ({error.strerror or error})") from None
    return parse_json(text, path)
